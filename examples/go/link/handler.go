package link

import (
	"fmt"
	"io"
	"net/http"
	"strings"
)

const maxAddress = 8 << 10

// Handler serves the store: POST / with an address as the body answers with a short path, GET of that path redirects.
func Handler(store *Store) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, "/")
		switch {
		case r.Method == http.MethodPost && name == "":
			body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxAddress))
			if err != nil {
				http.Error(w, "address too long", http.StatusRequestEntityTooLarge)
				return
			}
			name, err := store.Add(strings.TrimSpace(string(body)))
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			w.WriteHeader(http.StatusCreated)
			fmt.Fprintf(w, "/%s\n", name)
		case r.Method == http.MethodGet || r.Method == http.MethodHead:
			address, ok := store.Find(name)
			if !ok {
				http.NotFound(w, r)
				return
			}
			http.Redirect(w, r, address, http.StatusFound)
		default:
			w.Header().Set("Allow", "GET, HEAD, POST")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		}
	})
}
