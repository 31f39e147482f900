package main

import (
	"fmt"
	"testing"

	"github.com/overread/overread/internal/pgtest"
)

// A server that is stopped says so: else the page of health would have it gone without a word.
func TestAServerThatIsStoppedHasLeftInOrder(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	servers := func(where string) (n int) {
		t.Helper()
		if err := db.Owner(t).QueryRow(t.Context(), `SELECT count(*) FROM replica WHERE stopped_at IS `+where).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	t.Run("at work", func(t *testing.T) {
		serveInProcess(t, db.URL)
		eventually(t, "the server is to say that it is there", func() error {
			if n := servers("NULL"); n != 1 {
				return fmt.Errorf("%d servers are there", n)
			}
			return nil
		})
	})
	if there, left := servers("NULL"), servers("NOT NULL"); there != 0 || left != 1 {
		t.Errorf("%d servers are there and %d have left", there, left)
	}
}
