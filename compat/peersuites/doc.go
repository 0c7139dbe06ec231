// Command peersuites runs other projects' own tests on this module: the suites of
// client_golang and of libraries that are instrumented with it.
//
//	make peer-suites                                 # all suites, both modes
//	make peer-suites ARGS="--suite statsd_exporter"  # one of them
//	make peer-suites ARGS="--mode directory --run TestRegister --verbose"
//
// It takes the sources from the module cache, as `go mod download` puts them
// there, and copies them to a temporary directory twice. One copy is left as it is.
// In the other, the imports of client_golang's packages prometheus, promauto and
// promhttp are replaced by those of this module, as a user would do it. Then it
// runs the tests of both copies and compares which fail. Nothing of the other
// projects is kept in this repository.
//
// There are three modes:
//
//   - plain: PROMETHEUS_MULTIPROC_DIR is not set. The same tests must fail in both
//     copies.
//   - directory: each package has a fresh directory. What fails besides must be in
//     expected.txt, a line a test, with the reason. What is in there and passes is
//     reported too. A panic or a hang is never expected.
//   - processes: a program that uses the library (programs/, or the library's own
//     command), four processes of the one copy with a directory and one of the other.
//     What each of the four serves must be what the one serves.
//
// The tests of client_golang's packages prometheus and promauto are in those
// packages. They are compiled with a dot import of the package under test. A test
// that needs something that is not exported is left out of both copies; --verbose
// names each. The other packages of client_golang are copied with their tests.
//
// A test that fails in the copy that is left as it is tells nothing of the other. Some
// measure time and fail on a busy machine: the output names them, to be run again.
//
// The exit code is 0 where all is as expected, 1 where it is not, and 2 where the
// suites could not be run.
package main
