// Echo serves metrics in an application that uses echo. Start it several times, and
// /metrics of any process has the requests of all.
//
//	mkdir -p -m 700 /dev/shm/app
//	PROMETHEUS_MULTIPROC_DIR=/dev/shm/app go -C examples run ./echo 127.0.0.1:8081
//	PROMETHEUS_MULTIPROC_DIR=/dev/shm/app go -C examples run ./echo 127.0.0.1:8082
package main

import (
	"log"
	"net/http"
	"os"

	"github.com/labstack/echo/v4"

	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/multiproc"
	"github.com/multiprom/multiprom/registry"
)

var requests = multiproc.NewCounter(multiproc.CounterOpts{Name: "requests", Help: "Requests served."})

func main() {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.GET("/", func(c echo.Context) error {
		requests.Inc()
		return c.String(http.StatusOK, "hello\n")
	})
	e.GET("/metrics", echo.WrapHandler(exposition.Handler(registry.Default())))
	log.Fatal(e.Start(os.Args[1]))
}
