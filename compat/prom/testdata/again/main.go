// Command again makes metrics, takes them out of its registry and makes them again. Then
// it says what its registry shows and waits to be killed.
package main

import (
	"fmt"
	"os"
	"strconv"

	prometheus "github.com/multiprom/multiprom/compat/prom"
	"github.com/multiprom/multiprom/compat/prom/promauto"
)

func main() {
	n, err := strconv.ParseFloat(os.Args[1], 64)
	if err != nil {
		panic(err)
	}
	x := prometheus.CounterOpts{Name: "x_total", Help: "h"}
	first := promauto.NewCounter(x)
	first.Add(5)
	promauto.With(prometheus.NewRegistry()).NewCounter(x).Add(10)
	v := promauto.NewCounterVec(prometheus.CounterOpts{Name: "v_total", Help: "h"}, []string{"l"})
	v.WithLabelValues("gone").Add(7)
	v.WithLabelValues("stays").Add(7)
	v.DeleteLabelValues("gone")
	v.DeleteLabelValues("stays")
	v.WithLabelValues("stays").Add(n)
	if !prometheus.Unregister(first) {
		panic("it was not registered")
	}
	again := promauto.NewCounter(x)
	again.Add(n)
	prometheus.Reconcile()
	fmt.Println("ready")
	select {}
}
