package oauth_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"

	"github.com/overread/overread/internal/oauth"
)

// publisher is the key server of a client.
type publisher struct {
	mu     sync.Mutex
	keys   string
	cache  string
	status int
	asked  int
	url    string
}

func publish(t *testing.T, keys, cache string) *publisher {
	t.Helper()
	p := &publisher{keys: keys, cache: cache, status: http.StatusOK}
	web := httptest.NewServer(p)
	t.Cleanup(web.Close)
	p.url = web.URL + "/jwks"
	return p
}

func (p *publisher) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	if p.cache != "" {
		w.Header().Set("Cache-Control", p.cache)
	}
	w.WriteHeader(p.status)
	_, _ = w.Write([]byte(p.keys))
}

func (p *publisher) becomes(status int, keys string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status, p.keys = status, keys
}

func (p *publisher) wasAsked(t *testing.T, want int) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asked != want {
		t.Errorf("the key set was asked for %d times, want %d", p.asked, want)
	}
}

// at moves the clock of the replicas; assertions are made by the same clock.
func (d *desk) at(later time.Duration) { d.now.Store(int64(later)) }

func (d *desk) tokenAt(p pair) string {
	d.t.Helper()
	exp := time.Now().Add(time.Duration(d.now.Load()) + 4*time.Minute).Unix()
	got := d.post(0, "/oauth/token", tokenForm(sign(p, nil, d.claims(map[string]any{"exp": exp})), "system/Task.rs"))
	if got.status == http.StatusOK {
		return "token"
	}
	return got.body["error"].(string)
}

func (d *desk) wantAt(later time.Duration, p pair, want string) {
	d.t.Helper()
	d.at(later)
	if got := d.tokenAt(p); got != want {
		d.t.Errorf("after %v: %s, want %s", later, got, want)
	}
}

func TestAKeySetIsKeptAsLongAsItsServerSays(t *testing.T) {
	t.Parallel()
	for cache, want := range map[string]int{"max-age=600": 1, "public, max-age=60": 2, "no-store": 4, "no-cache, max-age=600": 4, "": 1, "max-age=x": 4} {
		p := publish(t, jwks(nil, rsaPair), cache)
		d := open(t, p.url, "system/Task.rs")
		for _, later := range []time.Duration{0, time.Second, 61 * time.Second, 62 * time.Second} {
			d.wantAt(later, rsaPair, "token")
		}
		t.Log(cache)
		p.wasAsked(t, want)
	}
}

func TestAnotherReplicaHasTheKeysThatOneHasFound(t *testing.T) {
	t.Parallel()
	p := publish(t, jwks(nil, rsaPair), "max-age=600")
	d := open(t, p.url, "system/Task.rs")
	for replica := range d.replicas {
		if got := d.post(replica, "/oauth/token", tokenForm(sign(rsaPair, nil, d.claims(nil)), "system/Task.rs")); got.status != http.StatusOK {
			t.Error(got.text)
		}
	}
	p.wasAsked(t, 1)
}

func TestAKeyThatWasChangedIsFoundAndTheOldOneIsGoodNoLonger(t *testing.T) {
	t.Parallel()
	p := publish(t, jwks(nil, rsaPair), "max-age=600")
	d := open(t, p.url, "system/Task.rs")
	d.wantAt(0, rsaPair, "token")
	p.becomes(http.StatusOK, jwks(nil, ecPair))
	d.wantAt(11*time.Second, ecPair, "token")
	d.wantAt(12*time.Second, rsaPair, "invalid_client")
	p.wasAsked(t, 2)
}

func TestUnknownKeysDoNotMakeUsAskAgainAndAgain(t *testing.T) {
	t.Parallel()
	p := publish(t, jwks(nil, rsaPair), "max-age=600")
	d := open(t, p.url, "system/Task.rs")
	d.wantAt(0, rsaPair, "token")
	for i := range 40 { // twenty seconds
		d.wantAt(time.Duration(i)*time.Second/2, ecPair, "invalid_client")
	}
	p.wasAsked(t, 2) // at first, and once more after ten seconds
	d.wantAt(20*time.Second, rsaPair, "token")
}

func TestAnOutageOfTheKeyServerIsSurvivedForAnHour(t *testing.T) {
	t.Parallel()
	p := publish(t, jwks(nil, rsaPair), "max-age=60")
	d := open(t, p.url, "system/Task.rs")
	d.wantAt(0, rsaPair, "token")
	for _, failure := range []struct {
		status int
		keys   string
	}{{http.StatusInternalServerError, ""}, {http.StatusFound, ""}, {http.StatusOK, "<html>"}, {http.StatusOK, strings.Repeat(" ", 70<<10)}} {
		p.becomes(failure.status, failure.keys)
		d.wantAt(2*time.Minute, rsaPair, "token")
		d.wantAt(59*time.Minute, rsaPair, "token")
		d.wantAt(62*time.Minute, rsaPair, "invalid_client")
	}
	p.becomes(http.StatusOK, jwks(nil, rsaPair))
	d.wantAt(63*time.Minute, rsaPair, "token")
}

func TestWhereThereWereNeverKeysNobodyIsLetIn(t *testing.T) {
	t.Parallel()
	p := publish(t, "", "")
	p.becomes(http.StatusServiceUnavailable, "")
	d := open(t, p.url, "system/Task.rs")
	for range 3 {
		d.wantAt(0, rsaPair, "invalid_client")
	}
	p.wasAsked(t, 1)
	p.becomes(http.StatusOK, jwks(nil, rsaPair))
	d.wantAt(6*time.Second, rsaPair, "token")
}

func TestManyAtOnceAskForTheKeysOnce(t *testing.T) {
	t.Parallel()
	p := publish(t, jwks(nil, rsaPair), "max-age=600")
	d := open(t, p.url, "system/Task.rs")
	p.mu.Lock() // holds the key server
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { d.tokenAt(rsaPair) })
	}
	p.mu.Unlock()
	all.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asked > 2 { // who comes when the first have ended may find it fresh or be one more
		t.Errorf("the key set was asked for %d times", p.asked)
	}
}

func TestAJKUThatIsTheClientsOwnIsTaken(t *testing.T) {
	t.Parallel()
	p := publish(t, jwks(nil, rsaPair), "max-age=600")
	d := open(t, p.url, "system/Task.rs")
	for jku, want := range map[string]int{p.url: http.StatusOK, p.url + "/": http.StatusBadRequest} {
		if got := d.post(0, "/oauth/token", tokenForm(sign(rsaPair, map[string]any{"jku": jku}, d.claims(nil)), "system/Task.rs")); got.status != want {
			t.Errorf("%s: %d %s", jku, got.status, got.text)
		}
	}
}

func TestAKeyIsGoodOnlyForWhatItIsMeantFor(t *testing.T) {
	t.Parallel()
	secret := string(must(json.Marshal(must(jwk.Import([]byte("secret"))))))
	private := must(jwk.Import(rsaPair.private))
	_ = private.Set("kid", "rsa-1")
	twin := pair{"rsa-1", jwa.RS384(), must(rsa.GenerateKey(rand.Reader, 2048))}
	sameKid := ecPair
	short := shortPair.private.Public().(*rsa.PublicKey)
	tooShort := `{"keys":[{"kty":"RSA","kid":"rsa-1","e":"AQAB","n":"` + b64(string(short.N.Bytes())) + `"}]}`
	sameKid.kid = "rsa-1"
	for name, c := range map[string]struct {
		keys   string
		refuse bool // when the client is added
		good   bool
	}{
		"as it should be":             {keys: jwks(nil, rsaPair), good: true},
		"said to be for RS384":        {keys: jwks(map[string]any{"alg": "RS384", "use": "sig"}, rsaPair), good: true},
		"to verify":                   {keys: jwks(map[string]any{"key_ops": []string{"verify"}}, rsaPair), good: true},
		"beside one of another type":  {keys: jwks(nil, rsaPair, sameKid), good: true},
		"beside one that is unknown":  {keys: strings.Replace(jwks(nil, rsaPair), `{"keys":[`, `{"keys":[{"kty":"new"},`, 1), good: true},
		"for RS256":                   {keys: jwks(map[string]any{"alg": "RS256"}, rsaPair), refuse: true},
		"for encryption":              {keys: jwks(map[string]any{"use": "enc"}, rsaPair), refuse: true},
		"to sign":                     {keys: jwks(map[string]any{"key_ops": []string{"encrypt"}}, rsaPair), refuse: true},
		"two of one kid and one type": {keys: jwks(nil, rsaPair, twin)},
		"too short":                   {keys: tooShort, refuse: true},
		"of another curve":            {keys: jwks(nil, p256Pair), refuse: true},
		"without kid":                 {keys: jwks(map[string]any{"kid": ""}, rsaPair), refuse: true},
		"private":                     {keys: `{"keys":[` + string(must(json.Marshal(private))) + `]}`, refuse: true},
		"secret":                      {keys: `{"keys":[` + secret + `]}`, refuse: true},
		"none":                        {keys: `{"keys":[]}`, refuse: true},
		"a bare key":                  {keys: string(must(json.Marshal(must(jwk.Import(rsaPair.private.Public()))))), refuse: true},
	} {
		if err := oauth.CheckKeys([]byte(c.keys)); (err != nil) != c.refuse {
			t.Errorf("%s: %v", name, err)
		}
		d := open(t, c.keys, "system/Task.rs")
		if got := d.token(rsaPair, "system/Task.rs"); (got.status == http.StatusOK) != c.good {
			t.Errorf("%s: %d %s", name, got.status, got.text)
		}
	}
}
