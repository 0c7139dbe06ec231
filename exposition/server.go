package exposition

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/multiprom/multiprom/gather"
	"github.com/multiprom/multiprom/internal/limits"
	"github.com/multiprom/multiprom/internal/listen"
	"github.com/multiprom/multiprom/internal/options"
	"github.com/multiprom/multiprom/registry"
)

// ServerOptions of [Serve]. The zero value serves the default registry. metric.NoLimit
// disables a timeout.
type ServerOptions struct {
	// Addr is host:port to listen on, or unix:///path of a socket. Empty means ":8000",
	// the port of client_python's examples, on all interfaces, IPv4 and IPv6. Port 0
	// picks a free one; see [Server.Addr].
	Addr string
	// Gatherer is what is served. Default registry.Default().
	Gatherer gather.Gatherer
	// Handler configures the handler. The zero value is its defaults.
	Handler HandlerOptions
	// TLS configures HTTPS; nil serves HTTP.
	TLS *TLS

	// Limits of the server. The limits of a scrape are in Handler.
	ReadHeaderTimeout time.Duration // of a request's header; default 5 s
	ReadTimeout       time.Duration // of a whole request; default 10 s
	WriteTimeout      time.Duration // of gathering and sending; default 60 s
	IdleTimeout       time.Duration // between two scrapes on a connection; default 2 min
	MaxHeaderBytes    int           // default 64 KiB; larger ones get 431
}

// complete checks the options and fills in what was left out. internal/limits has the
// server's defaults.
func (o *ServerOptions) complete() error {
	var c options.Checker
	for _, f := range []struct {
		name  string
		value time.Duration
	}{
		{"ReadHeaderTimeout", o.ReadHeaderTimeout}, {"ReadTimeout", o.ReadTimeout},
		{"WriteTimeout", o.WriteTimeout}, {"IdleTimeout", o.IdleTimeout},
	} {
		options.Number(&c, f.name, &f.value, 0, options.NoLimit)
	}
	bytes := o.MaxHeaderBytes
	options.Number(&c, "MaxHeaderBytes", &bytes, 0)
	if o.Addr == "" {
		o.Addr = ":8000"
	}
	if o.Gatherer == nil {
		o.Gatherer = registry.Default()
	}
	return errors.Join(c.Err(), o.Handler.complete())
}

// Server is a separate HTTP server for metrics, made by [Serve].
type Server struct {
	http     *http.Server
	listener net.Listener
	tls      bool // serves HTTPS

	accepting chan struct{} // closed once connections are no longer accepted

	end   sync.Once
	ended chan struct{} // closed at the end
	err   error         // written before ended is closed
}

// Serve starts a server. It returns as soon as the server listens, or with an error
// that says why it cannot. Metrics are served on every path, as in client_python, so
// nobody has to know the right one. Only /favicon.ico is empty, so that a browser does
// not scrape twice.
func Serve(opts ServerOptions) (*Server, error) {
	if err := opts.complete(); err != nil {
		return nil, fmt.Errorf("exposition: %w", err)
	}
	logger := opts.Handler.ErrorLog
	if logger == nil {
		logger = slog.New(slog.DiscardHandler) // net/http would write to the standard logger
	}
	var config *tls.Config
	if opts.TLS != nil {
		var err error
		if config, err = opts.TLS.config(logger); err != nil {
			return nil, fmt.Errorf("exposition: TLS: %w", err)
		}
	}
	listener, err := listen.Open(opts.Addr)
	if err != nil {
		return nil, fmt.Errorf("exposition: Addr: %w", err)
	}
	metrics := HandlerFor(opts.Gatherer, opts.Handler)
	s := &Server{
		listener: listener,
		tls:      config != nil,
		http: &http.Server{
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/favicon.ico" {
					metrics.ServeHTTP(w, r)
				}
			}),
			ReadHeaderTimeout: opts.ReadHeaderTimeout,
			ReadTimeout:       opts.ReadTimeout,
			WriteTimeout:      opts.WriteTimeout,
			IdleTimeout:       opts.IdleTimeout,
			MaxHeaderBytes:    opts.MaxHeaderBytes,
			ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelError),
			TLSConfig:         config,
		},
		accepting: make(chan struct{}),
		ended:     make(chan struct{}),
	}
	limits.Server(s.http)
	go s.serve()
	return s, nil
}

func (s *Server) serve() {
	defer close(s.accepting)
	serve := s.http.Serve
	if s.tls {
		serve = func(l net.Listener) error { return s.http.ServeTLS(l, "", "") }
	}
	if err := serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		s.finish(fmt.Errorf("exposition: %w", err))
	}
}

func (s *Server) finish(err error) {
	s.end.Do(func() {
		s.err = err
		close(s.ended)
	})
}

// Addr returns the address on which the server listens, with the actual port.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// URL returns the URL of the metrics on this machine. For a server on all interfaces
// that is localhost, and for one on a socket only its path.
func (s *Server) URL() string {
	scheme := "http"
	if s.tls {
		scheme = "https"
	}
	return listen.URL(s.listener.Addr(), scheme, "/metrics")
}

// Wait blocks until the server ends. It returns nil after Shutdown or Close have
// finished, and otherwise the error that ended the server.
func (s *Server) Wait() error {
	<-s.ended
	return s.err
}

// Shutdown stops listening and waits for running scrapes. If ctx ends first, it returns
// ctx's error and the remaining scrapes continue; Close ends them.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	<-s.accepting
	s.finish(nil)
	return err
}

// Close stops listening and ends all connections at once.
func (s *Server) Close() error {
	err := s.http.Close()
	<-s.accepting
	s.finish(nil)
	return err
}
