package workflow

import (
	"slices"
	"strings"
)

// defaultRule is a rule of triage that every tenant has, after its own. Unlike
// those it looks at the body site and at the name of the exam apart: a name may
// speak of what is looked for ("MR Pelvis, cervical cancer"), the site does not.
type defaultRule struct {
	modalities   []string
	site         []string // one of these words stands in the body site; nil: whatever it is
	silent       bool     // the body site names no region that we know
	name         []string // one of these words stands in the name
	also         []string // and one of these
	subspecialty string
}

// defaultTriage are those rules in their order: the modality where it tells alone;
// where the name says more about the same place than the body site; the body site;
// and the name where the body site says nothing.
var defaultTriage = func() (rules []defaultRule) {
	rules = append(rules, byModality...)
	rules = append(rules, withinTheSite()...)
	for _, s := range subspecialties {
		rules = append(rules, defaultRule{site: s.words, subspecialty: s.name})
	}
	rules = append(rules, byNameOfVessels()...)
	for _, s := range subspecialties {
		rules = append(rules, defaultRule{silent: true, name: s.words, subspecialty: s.name})
	}
	return rules
}()

var byModality = []defaultRule{
	{modalities: []string{"MG"}, subspecialty: "breast"},
	{modalities: []string{"NM", "PT"}, subspecialty: "nuclear"},
	{modalities: []string{"XA"}, subspecialty: "vascular"},
}

// wordsOf are the words of the regions.
func wordsOf(regions ...string) (words []string) {
	for _, s := range subspecialties {
		if slices.Contains(regions, s.region) {
			words = append(words, s.words...)
		}
	}
	return words
}

// angiography is how its names begin a word.
var angiography = []string{"angiogr", "cta", "mra"}

// withinTheSite are the rules by the name of an exam whose body site is coarser:
// the spine in the chest, the heart in the chest, the vessels of the head.
func withinTheSite() []defaultRule {
	cross := []string{"CT", "MR"}
	trunk := []string{"neck", "chest", "thorax", "thoracic", "abdom", "abd", "pelvi"} // and no organ
	return []defaultRule{
		{name: []string{"fetal", "foetal", "fetus", "foetus", "obstetric"}, subspecialty: "genitourinary"},
		{site: trunk, name: []string{"spine", "vertebra"}, subspecialty: "neuro"},
		{modalities: cross, site: wordsOf("chest"), name: []string{"cardiac", "coronar"}, subspecialty: "cardiac"},
		{modalities: []string{"MR", "US"}, site: wordsOf("chest"), name: []string{"breast", "mamm"}, subspecialty: "breast"},
		{site: wordsOf("head"), name: []string{"temporal bone", "paranasal", "facial"}, subspecialty: "head-neck"},
		{modalities: cross, site: wordsOf("head", "neck"), name: angiography, subspecialty: "neuro"},
		{modalities: cross, site: []string{"carotid"}, subspecialty: "neuro"},
		{modalities: []string{"US"}, name: []string{"carotid"}, subspecialty: "vascular"},
		{modalities: cross, site: wordsOf("abdomen", "pelvis", "limb"), name: angiography, subspecialty: "vascular"},
		{modalities: []string{"US"}, site: wordsOf("limb"), name: []string{"vein", "venous", "arter", "vascular"}, subspecialty: "vascular"},
		{site: wordsOf("pelvis"), name: []string{"rectum", "rectal"}, subspecialty: "abdominal"},
		{site: wordsOf("pelvis"), name: []string{"hip", "sacroiliac"}, subspecialty: "musculoskeletal"},
	}
}

// byNameOfVessels: who reads an angiography goes by the organ. Those of the head
// and the neck are neuroradiology's, pulmonary ones the chest radiologist's.
func byNameOfVessels() []defaultRule {
	cross := []string{"CT", "MR"}
	return []defaultRule{
		{silent: true, name: []string{"coronar"}, subspecialty: "cardiac"},
		{modalities: cross, silent: true, name: angiography, also: []string{"head", "brain", "neck", "carotid", "cranial", "intracranial", "cerebr"}, subspecialty: "neuro"},
		{modalities: cross, silent: true, name: []string{"carotid"}, subspecialty: "neuro"},
		{modalities: cross, silent: true, name: angiography, also: []string{"pulmonary", "lung", "chest", "thorax"}, subspecialty: "chest"},
		{modalities: cross, silent: true, name: angiography, subspecialty: "vascular"},
	}
}

// askedExam is an exam as the rules look at it.
type askedExam struct {
	modality   string
	site, name saidWords
	silent     bool // the body site names no region that we know
}

func (e Exam) triaged() askedExam {
	return askedExam{strings.ToUpper(e.Modality), spoken(strings.ToLower(e.BodySite)), spoken(strings.ToLower(e.Display)), bodyRegion(e.BodySite) == ""}
}

func (r defaultRule) holds(e askedExam) bool {
	stands := func(words []string, said saidWords) bool { return words == nil || said.any(words) }
	return (r.modalities == nil || slices.Contains(r.modalities, e.modality)) && (!r.silent || e.silent) &&
		stands(r.site, e.site) && stands(r.name, e.name) && stands(r.also, e.name)
}

// String is the rule in words.
func (r defaultRule) String() string {
	var parts []string
	for _, part := range []string{
		strings.Join(r.modalities, " or "),
		prefixed("body site ", r.site),
		map[bool]string{true: "body site unknown"}[r.silent],
		prefixed("name ", r.name),
		prefixed("and ", r.also),
	} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, ", ") + " -> " + r.subspecialty
}
