package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestVerifyStatisticsPrintsWhatSixStudiesPrintAndNamesTheSlips(t *testing.T) {
	t.Parallel()
	var out, complaints bytes.Buffer
	if err := run(t.Context(), []string{"verify-statistics"}, &out, &complaints); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Wilson", "guerin-2015", "wibmer-2015", "zan-2010", "chalian-2016", "eakins-2012", "croydon-2020",
		"printed slip: 155 of 773 is 20.05 %, which rounds to 20.1", "printed slip: 99 of 305 is 32.46 %, which rounds to 32.5",
		"30 figures: 12 as printed, 16 as exact arithmetic of the printed counts, 2 slips in print, 0 wrong",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
	if complaints.Len() > 0 {
		t.Errorf("stderr: %s", complaints.String())
	}
}
