package oauth_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

func TestASuspendedTenantsClientsGetNoTokenAndAreToldWhy(t *testing.T) {
	t.Parallel()
	d := open(t, jwks(nil, rsaPair), "system/Task.rs")
	token, _ := d.token(rsaPair, "system/Task.rs").body["access_token"].(string)
	if _, err := d.db.Owner(t).Exec(context.Background(), `UPDATE tenant SET state = 'suspended'`); err != nil {
		t.Fatal(err)
	}
	if _, err := access.Identify(context.Background(), d.db.DB, token, access.Choice{}); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "suspended") {
		t.Errorf("a token from before: %v", err)
	}
	for _, replica := range []int{0, 1} {
		got := d.post(replica, "/oauth/token", tokenForm(sign(rsaPair, nil, d.claims(nil)), "system/Task.rs"))
		if got.status != http.StatusServiceUnavailable || got.body["error"] != "temporarily_unavailable" || got.header.Get("Retry-After") == "" {
			t.Errorf("a good assertion: %d %v", got.status, got.body)
		}
		got = d.post(replica, "/oauth/token", tokenForm(sign(otherPair, nil, d.claims(nil)), "system/Task.rs"))
		if got.status != http.StatusBadRequest || got.body["error"] != "invalid_client" || strings.Contains(got.text, "suspended") {
			t.Errorf("somebody else is told: %d %v", got.status, got.body)
		}
		got = d.post(replica, "/oauth/introspect", url.Values{"token": {token}})
		if got.status == http.StatusOK {
			t.Errorf("introspection without a client: %v", got.body)
		}
	}
}
