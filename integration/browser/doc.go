// Package browser tests the status page in a real Chromium: in light and dark, with few and
// with many workers, with and without JavaScript. It is a module of its own, because the driver
// of the browser has many dependencies.
//
// MULTIPROM_SCREENSHOTS names a directory for the pictures.
package browser
