package oidc_test

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/administration"
	"github.com/overread/overread/internal/fault"
)

// office is what an administrator of the house's first hospital does there.
func (h *house) office(person uuid.UUID) (administration.Keeper, administration.By) {
	record := func(context.Context, pgx.Tx, access.Event) error { return nil }
	return administration.Keeper{DB: h.db.DB, Record: record}, administration.By{Person: person,
		Actor: access.Actor{Tenant: h.mercy, ID: person, Role: access.Admin, Display: "Sam"}}
}

func TestARoleByNameAndOneThatIsWithheldCountAtTheNextLogin(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	desk, err := h.logIn("desk")
	if err != nil {
		t.Fatal(err)
	}
	k, by := h.office(uuid.New())
	ctx := t.Context()
	if err := k.Grant(ctx, by, desk.PersonID, access.Auditor, "helps out"); err != nil {
		t.Fatal(err)
	}
	ended, err := k.Revoke(ctx, by, desk.PersonID, access.Coordinator, "another office")
	if err != nil || ended != 1 {
		t.Errorf("%d sessions ended with the role: %v", ended, err)
	}
	after, err := h.logIn("desk")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := placesOf(after), "lakeside coordinator, mercy auditor"; got != want { // of another hospital nothing was taken
		t.Errorf("%q, want %q", got, want)
	}
	if err := k.Grant(ctx, by, desk.PersonID, access.Coordinator, "is back"); err != nil {
		t.Fatal(err)
	}
	if after, err = h.logIn("desk"); err != nil || placesOf(after) != "lakeside coordinator, mercy auditor, mercy coordinator" {
		t.Errorf("%v: %v", after, err)
	}
}

func TestSomebodyWhomNoGroupNamesComesInByName(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	k, by := h.office(uuid.New())
	who := administration.Newcomer{Provider: "house", Subject: "nobody", Display: "No Body"}
	if _, err := k.Invite(t.Context(), by, who, access.Coordinator, "begins on Monday"); err != nil {
		t.Fatal(err)
	}
	s, err := h.logIn("nobody")
	if err != nil || placesOf(s) != "mercy coordinator" {
		t.Errorf("%v: %v", s, err)
	}
}

func TestWhatSomebodySaysOfAGroupDoesNotCountForThemselves(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	desk, err := h.logIn("desk")
	if err != nil {
		t.Fatal(err)
	}
	k, by := h.office(desk.PersonID)
	ctx := t.Context()
	if err := k.AddGroup(ctx, by, administration.Group{Provider: "house", ClaimValue: "something-else", Role: access.Quality}); err != nil {
		t.Fatal(err)
	}
	if again, err := h.logIn("desk"); err != nil || placesOf(again) != "lakeside coordinator, mercy coordinator" {
		t.Errorf("%v: %v", again, err)
	}
	h.idp.SetGroups("nobody", "something-else")
	if other, err := h.logIn("nobody"); err != nil || placesOf(other) != "mercy quality" {
		t.Errorf("somebody else: %v: %v", other, err)
	}
	for _, own := range []error{
		k.Grant(ctx, by, desk.PersonID, access.Quality, "for myself"),
		func() error {
			_, err := k.Invite(ctx, by, administration.Newcomer{Provider: "house", Subject: "desk", Display: "me"}, access.Quality, "for myself")
			return err
		}(),
	} {
		if !fault.Is(own, fault.Forbidden) {
			t.Errorf("a role for oneself: %v", own)
		}
	}
}
