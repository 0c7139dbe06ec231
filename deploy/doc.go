// Package deploy has no code. Its tests check the files of this directory with what reads
// them: Kubernetes' and Compose's types, systemd, promtool and supervisord. They also start
// mpctl as the files say.
package deploy
