package main

import (
	"errors"
	"fmt"

	"github.com/overread/overread/internal/pg"
)

// constraints is the table of what the database refuses of what an operator gives
// and no verb has looked at before, in words that name the argument.
var constraints = map[string]string{
	"client_name_check":               "NAME: is empty",
	"destination_base_url_check":      "BASE-URL: is no http:// or https:// URL, in small letters before its host",
	"ehr_issuer_client_id_check":      "--client-id: is empty",
	"ehr_issuer_issuer_check":         "ISSUER: is no http:// or https:// URL, in small letters before its host",
	"person_display_check":            "the reader's name is empty: correct it with overread reader add",
	"provider_client_id_check":        "--client-id: is empty",
	"provider_issuer_check":           "ISSUER: is no http:// or https:// URL, in small letters before its host",
	"provider_role_claim_value_check": "--role: its value is empty",
	"tenant_ehr_base_check":           "--ehr-base: is no http:// or https:// URL, in small letters before its host",
}

// plainly is the error of a verb without PostgreSQL's own words for what it does
// not take.
func plainly(err error) error {
	constraint := pg.Constraint(err)
	switch text := constraints[constraint]; {
	case text != "":
		return errors.New(text)
	case constraint != "":
		return fmt.Errorf("the database does not take what was given (its rule %s): see --help of this command for the form of each argument", constraint)
	}
	return err
}
