// Gin serves metrics in an application that uses gin. Start it several times, and
// /metrics of any process has the requests of all.
//
//	mkdir -p -m 700 /dev/shm/app
//	PROMETHEUS_MULTIPROC_DIR=/dev/shm/app go -C examples run ./gin 127.0.0.1:8081
//	PROMETHEUS_MULTIPROC_DIR=/dev/shm/app go -C examples run ./gin 127.0.0.1:8082
package main

import (
	"log"
	"net/http"
	"os"

	"github.com/gin-gonic/gin"

	"github.com/multiprom/multiprom/exposition"
	"github.com/multiprom/multiprom/multiproc"
	"github.com/multiprom/multiprom/registry"
)

var requests = multiproc.NewCounter(multiproc.CounterOpts{Name: "requests", Help: "Requests served."})

func main() {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.GET("/", func(c *gin.Context) {
		requests.Inc()
		c.String(http.StatusOK, "hello\n")
	})
	r.GET("/metrics", gin.WrapH(exposition.Handler(registry.Default())))
	log.Fatal(r.Run(os.Args[1]))
}
