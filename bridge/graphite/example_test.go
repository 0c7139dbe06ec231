package graphite_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"

	"github.com/multiprom/multiprom/bridge/graphite"
	"github.com/multiprom/multiprom/multiproc"
	"github.com/multiprom/multiprom/registry"
)

// One push to a Graphite server. Bridge.Run pushes repeatedly.
func Example() {
	carbon, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer carbon.Close()
	received := make(chan string, 1)
	go func() {
		conn, err := carbon.Accept()
		if err != nil {
			received <- err.Error()
			return
		}
		defer conn.Close()
		line, _ := bufio.NewReader(conn).ReadString('\n')
		received <- line
	}()

	set := multiproc.NewSet(multiproc.SetOptions{})
	jobs := multiproc.MustNew(set.NewCounterVec(multiproc.CounterOpts{Name: "jobs", Help: "Jobs done."}, []string{"queue"}))
	jobs.WithLabelValues("mail").Add(3)

	b, err := graphite.New(graphite.Options{Address: carbon.Addr().String(), Prefix: "app"})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := b.Push(context.Background(), registry.Instruments(set)); err != nil {
		fmt.Println(err)
	}
	path, _, _ := strings.Cut(<-received, " 17") // the time follows
	fmt.Println(path)
	// Output: app.jobs_total.queue.mail 3
}
