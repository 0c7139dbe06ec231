package graphite

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"
)

// A UDP receiver has a buffer for packets that it has not read yet: by default some 90
// packets of our size on Linux and 30 elsewhere. What arrives while it is full is lost,
// and nobody is told. So packets go out in bursts, several of which fit in the buffer,
// with pauses in which the receiver can read.
const (
	maxUDP      = 65507 // the most bytes a packet can hold
	maxDatagram = 1432  // bytes per packet that fit in an Ethernet frame
	burst       = 4     // packets without a pause
	pause       = 20 * time.Millisecond
)

// errPace says that there are too many lines to send in time at that pace.
var errPace = errors.New("too much for UDP")

// sendDatagrams sends as many whole lines in each packet as fit. It sends nothing if it
// could not finish within the timeout.
func sendDatagrams(c net.Conn, lines []byte, timeout time.Duration) error {
	packets := 0
	for rest := lines; len(rest) > 0; packets++ {
		rest = rest[datagram(rest):]
	}
	if needed := time.Duration(packets/burst) * pause; needed > timeout {
		return fmt.Errorf("%w: %d packets take %v at a pace that a receiver can follow, but the timeout is %v: use tcp or a longer timeout", errPace, packets, needed, timeout)
	}
	for sent := 1; len(lines) > 0; sent++ {
		n := datagram(lines)
		if _, err := c.Write(lines[:n]); errors.Is(err, syscall.ENOBUFS) {
			n = 0 // the network card's queue is full: try again after the pause
		} else if err != nil {
			return err
		}
		lines = lines[n:]
		if sent%burst == 0 || n == 0 || len(lines) == 0 {
			if err := rest(c); err != nil {
				return err
			}
		}
	}
	return nil
}

// datagram returns how many bytes of lines go into the next packet.
func datagram(lines []byte) int {
	if len(lines) <= maxDatagram {
		return len(lines)
	}
	if end := bytes.LastIndexByte(lines[:maxDatagram], '\n') + 1; end > 0 {
		return end
	}
	return bytes.IndexByte(lines, '\n') + 1 // a single line longer than maxDatagram
}

// rest waits for the pause. It returns an error if the other machine reports during it
// that nothing listens there. UDP reports nothing else.
func rest(c net.Conn) error {
	until := time.Now().Add(pause)
	if err := c.SetReadDeadline(until); err != nil {
		return err
	}
	answer := make([]byte, 512)
	for {
		n, err := c.Read(answer)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		case err != nil && n == 0:
			return err
		}
		// Something answered. Graphite never does.
	}
}
