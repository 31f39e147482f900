package workflow

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
)

func TestACaseKeepsTheVersionThatItBeganWith(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	before := h.ready()
	if before.PolicyVersion != 0 || before.PolicySHA256 != nil {
		t.Errorf("version %d", before.PolicyVersion)
	}
	first := h.setPolicy("assignment: offer\n")
	c := h.ready()
	second := h.setPolicy("assignment: pool\nclocks: {routine: {final: 10h}}\n")
	h.tick()
	later := h.ready()
	for _, test := range []struct {
		c    Case
		want PolicyVersion
		in   State
	}{{c, first, Offered}, {later, second, Ready}} {
		got := h.stands(test.c, test.in)
		if got.PolicyVersion != test.want.Version || !bytes.Equal(got.PolicySHA256, test.want.TextSHA256) {
			t.Errorf("version %d, want %d", got.PolicyVersion, test.want.Version)
		}
	}
	if h.find(c).Policy.Assignment != ByOffer || h.find(c).Policy.Clocks.Routine.Final != hours(72) {
		t.Error("a new version has changed a case in work")
	}
	h.stands(before, Ready)
	h.replays(c)
}

func TestVersionsAreCountedAndWhatSaysNothingNewIsNone(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	first := h.setPolicy("assignment: offer # as agreed\n")
	again := h.setPolicy("assignment: offer # as agreed\n")
	if first.Version != 1 || again.Version != 1 {
		t.Errorf("versions %d and %d", first.Version, again.Version)
	}
	h.setPolicy("{}")
	var versions []PolicyVersion
	err := h.db.System(t.Context(), func(tx pgx.Tx) (err error) {
		versions, err = PolicyVersionsTx(t.Context(), tx, h.tenant)
		return err
	})
	if err != nil || len(versions) != 2 || versions[0].Text != "assignment: offer # as agreed\n" || versions[1].Version != 2 {
		t.Errorf("%v: %+v", err, versions)
	}
}

func TestManyWhoSetAPolicyAtOnceMakeAVersionEach(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	results := make(chan int, 8)
	for i := range cap(results) {
		go func() { results <- h.setPolicy(fmt.Sprintf("imagesGiveUpDays: %d\n", i+1)).Version }()
	}
	var got []int
	for range cap(results) {
		got = append(got, <-results)
	}
	slices.Sort(got)
	if diff := cmp.Diff([]int{1, 2, 3, 4, 5, 6, 7, 8}, got); diff != "" {
		t.Error(diff)
	}
}

// setPolicy makes a text the tenant's next version.
func (h *house) setPolicy(text string) (v PolicyVersion) {
	h.Helper()
	d, err := ReadPolicy([]byte(text))
	if err != nil {
		h.Error(err)
		return v
	}
	err = h.db.System(context.Background(), func(tx pgx.Tx) error {
		v, _, err = SetPolicyTx(context.Background(), tx, h.tenant, d, "somebody", "")
		return err
	})
	if err != nil {
		h.Error(err)
	}
	return v
}
