// Echo serves metrics in an application that uses echo.
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
