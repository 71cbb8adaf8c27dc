package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"sync/atomic"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdFront stands before the node at $ENROLL, as a proxy does, and tells another time if it is told to.
//
//	front start         $SITE is where it is
//	front time MOMENT   GET /v1/time says this moment from now on (ms since 1970)
func cmdFront(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 1, "front start | time MOMENT")
	b := benchOf(ts)
	switch {
	case args[0] == "start":
		node := &url.URL{Scheme: "http", Host: "127.0.0.1:" + ts.Getenv("ENROLL")}
		proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(node)
			r.Out.Host = r.In.Host
		}}
		b.frontTime = new(atomic.Int64)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if at := b.frontTime.Load(); at != 0 && r.URL.Path == "/v1/time" {
				w.Header().Set("Content-Type", "application/json")
				fmt.Fprintf(w, `{"unix_ms": %d}`, at)
				return
			}
			proxy.ServeHTTP(w, r)
		}))
		ts.Defer(server.Close)
		u, err := url.Parse(server.URL)
		ts.Check(err)
		ts.Setenv("SITE", "http://localhost:"+u.Port())
	case args[0] == "time" && len(args) == 2 && b.frontTime != nil:
		at, err := strconv.ParseInt(args[1], 10, 64)
		ts.Check(err)
		b.frontTime.Store(at)
	default:
		ts.Fatalf("front: start, then time MOMENT")
	}
}
