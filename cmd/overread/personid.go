package main

import (
	"fmt"

	"github.com/google/uuid"
)

// personID is the PERSON of a command line.
func personID(argument string) (uuid.UUID, error) {
	id, err := uuid.Parse(argument)
	if err != nil {
		return id, fmt.Errorf("PERSON: %q is no UUID", argument)
	}
	return id, nil
}
