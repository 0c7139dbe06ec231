// Package makes what a release offers for download, into dist/ at the root of the
// repository:
//
//	mpctl-linux-amd64, mpctl-linux-arm64           static binaries
//	multiprom_VERSION_ARCH.deb, multiprom-…rpm     packages, by nfpm.yaml
//	mpctl-image.tar                                an OCI image of both platforms
//	mpctl-linux-ARCH.cdx.json                      what is in a binary, in CycloneDX
//	SHA256SUMS                                     of all of these
//
// Nothing of it depends on the machine, the folder or the time: the same commit gives the
// same bytes. The date in the files is that of the commit, or SOURCE_DATE_EPOCH. It needs
// Go, but no container engine and no packaging tools.
//
//	make packages
//	cd deploy/package && go run . --version 1.2.3 --out /tmp/dist
package main
