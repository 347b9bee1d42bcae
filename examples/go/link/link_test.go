package link

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

func TestNamesAreUniqueAndShort(t *testing.T) {
	seen := map[string]int{}
	for n := 0; n < 50_000; n++ {
		name := encode(n)
		if before, twice := seen[name]; twice {
			t.Fatalf("%d and %d are both %q", before, n, name)
		}
		seen[name] = n
		if len(name) > 4 {
			t.Fatalf("%d takes %d characters", n, len(name))
		}
	}
}

func TestSameAddressSameName(t *testing.T) {
	var store Store
	first, _ := store.Add("https://example.org/a")
	other, _ := store.Add("https://example.org/b")
	again, _ := store.Add("https://example.org/a")
	if first != again || first == other {
		t.Errorf("got %q, %q, %q", first, other, again)
	}
}

func TestOnlyAddressesAreTaken(t *testing.T) {
	var store Store
	for _, text := range []string{"", "example.org", "/etc/passwd", "javascript:alert(1)", "https://", "ftp://example.org/"} {
		if _, err := store.Add(text); !errors.Is(err, ErrNotAnAddress) {
			t.Errorf("%q: got %v", text, err)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	var store Store
	var wg sync.WaitGroup
	for worker := 0; worker < 8; worker++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := 0; i < 200; i++ {
				address := fmt.Sprintf("https://example.org/%d", i)
				name, err := store.Add(address)
				if err != nil {
					t.Error(err)
				}
				if found, ok := store.Find(name); !ok || found != address {
					t.Errorf("%s is %q", name, found)
				}
			}
		}()
	}
	wg.Wait()
}

func TestOverHTTP(t *testing.T) {
	server := httptest.NewServer(Handler(&Store{}))
	defer server.Close()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

	created, err := client.Post(server.URL, "text/plain", strings.NewReader("https://example.org/long?query=1\n"))
	if err != nil {
		t.Fatal(err)
	}
	defer created.Body.Close()
	path, _ := io.ReadAll(created.Body)
	if created.StatusCode != http.StatusCreated {
		t.Fatalf("POST: %s", created.Status)
	}

	for _, c := range []struct {
		method, path string
		status       int
		location     string
	}{
		{http.MethodGet, strings.TrimSpace(string(path)), http.StatusFound, "https://example.org/long?query=1"},
		{http.MethodGet, "/nothing-here", http.StatusNotFound, ""},
		{http.MethodDelete, "/", http.StatusMethodNotAllowed, ""},
	} {
		t.Run(c.method+" "+c.path, func(t *testing.T) {
			request, _ := http.NewRequest(c.method, server.URL+c.path, nil)
			response, err := client.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if response.StatusCode != c.status || response.Header.Get("Location") != c.location {
				t.Errorf("got %s to %q", response.Status, response.Header.Get("Location"))
			}
		})
	}
}
