package web_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/session"
	"github.com/overread/overread/web"
)

func TestBelowAPathWhoSignsInComesBackBelowIt(t *testing.T) {
	t.Parallel()
	for root, prefix := range map[string]string{"http://127.0.0.1:1": "", "http://127.0.0.1:1/over": "/over"} {
		pages, err := web.New(web.Config{Sessions: session.NewStore(session.Config{BaseURL: root}), Root: root})
		if err != nil {
			t.Fatal(err)
		}
		e := echo.New()
		pages.Register(e)
		for path, back := range map[string]string{"/home": "/home", "/at/mercy/coordinator/emergencies?before=x": "/at/mercy/coordinator/emergencies?before=x"} {
			answer := httptest.NewRecorder()
			e.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, nil))
			if got, want := answer.Header().Get("Location"), prefix+"/signin?return="+url.QueryEscape(prefix+back); answer.Code != http.StatusSeeOther || got != want {
				t.Errorf("%s at %s: %d %q, want %q", path, root, answer.Code, got, want)
			}
		}
		answer := httptest.NewRecorder()
		e.ServeHTTP(answer, httptest.NewRequest(http.MethodPost, "/logout", nil))
		if got, want := answer.Header().Get("Location"), prefix+"/signin?return="+url.QueryEscape(prefix+"/home"); got != want {
			t.Errorf("a form at %s: %q, want %q", root, got, want)
		}
	}
}
