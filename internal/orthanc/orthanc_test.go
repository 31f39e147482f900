package orthanc_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/overread/overread/internal/orthanc"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 5 && os.Args[1] == "keep" {
		if err := orthanc.Keep(os.Args[2], os.Args[3], os.Args[4]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if len(os.Args) == 3 && os.Args[1] == "host" { // until it is killed
		pacs, err := orthanc.Start(context.Background(), orthanc.Options{Dir: os.Args[2], Keeper: keeper, Exposed: true})
		fmt.Println(pacs.Base, err)
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func keeper(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, os.Args[0], append([]string{"keep"}, args...)...)
}

func TestItAnswersWhoeverHasThePasswordAndNobodyElse(t *testing.T) {
	t.Parallel()
	pacs, err := orthanc.Start(t.Context(), orthanc.Options{Dir: t.TempDir(), Keeper: keeper, Exposed: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("exposed: %v", pacs.Exposed)
	for password, want := range map[string]int{pacs.Password: 200, "orthanc": 401, "": 401} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, pacs.Base+"/studies", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth(pacs.User, password)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("password %q: %d, want %d", password, res.StatusCode, want)
		}
	}
	if err := pacs.Stop(); err != nil {
		t.Error(err)
	}
	if res, err := http.Get(pacs.Base + "/studies"); err == nil {
		res.Body.Close()
		t.Error("it still answers")
	}
}

func TestItEndsWhenItsStarterIsKilled(t *testing.T) {
	t.Parallel()
	host := exec.CommandContext(t.Context(), os.Args[0], "host", t.TempDir())
	out, err := host.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	alive, err := host.StdinPipe() // so that it ends with us
	if err != nil {
		t.Fatal(err)
	}
	defer alive.Close()
	if err := host.Start(); err != nil {
		t.Fatal(err)
	}
	var base, failed string
	if _, err := fmt.Fscan(out, &base, &failed); err != nil || failed != "<nil>" {
		t.Fatal(base, failed, err)
	}
	if err := host.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = host.Wait()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		res, err := http.Get(base + "/studies")
		if err != nil {
			return
		}
		res.Body.Close()
		if time.Now().After(end) {
			t.Fatal("it still answers")
		}
	}
}
