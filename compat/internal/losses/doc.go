// Package losses counts what of client_golang's metrics a directory does not hold, and
// tells the log of the first one of each kind. Packages prom and publish share it, so
// that one family, multiprom_compat_losses_total, has all.
package losses
