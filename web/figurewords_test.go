package web

import (
	"testing"

	"github.com/overread/overread/workflow"
)

// A group of a figure is called by words, in each language, wherever it is one of ours.
func TestEachWordOfADimensionIsSaidInWords(t *testing.T) {
	t.Parallel()
	for _, d := range workflow.FactDimensions {
		words := d.Words
		if d.Name == "body-region" {
			words = workflow.BodyRegions()
		}
		for _, word := range words {
			if _, ok := strataWords[d.Name][word]; !ok && word != workflow.NotSaid {
				t.Errorf("%s has no words for %q", d.Name, word)
			}
		}
	}
	for _, p := range []struct{ dimension, word, want string }{{"reason", "before-treatment", "Vor einer großen Behandlung"}, {"priority", "stat", "Notfall"}, {"oncologic", "yes", "ja"}, {"subspecialty", "foetal", "foetal"}, {"site", "head", "head"}} {
		if got := languages["de"].stratum(p.dimension, p.word); got != p.want {
			t.Errorf("%s %s is called %q, not %q", p.dimension, p.word, got, p.want)
		}
	}
}
