// Command shorten serves a link shortener.
package main

import (
	"flag"
	"fmt"
	"log"
	"net/http"
	"runtime"
	"time"

	"example.org/shorten/link"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address to listen on")
	version := flag.Bool("version", false, "print the version and exit")
	flag.Parse()
	if *version {
		fmt.Printf("shorten 1.0.0 (%s)\n", runtime.Version())
		return
	}
	server := &http.Server{Addr: *listen, Handler: link.Handler(&link.Store{}), ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(server.ListenAndServe())
}
