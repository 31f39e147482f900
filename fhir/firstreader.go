package fhir

import (
	"context"
	"slices"
	"strings"

	"github.com/overread/overread/workflow"
)

// findFirstReaders names who read the study first, in every way in which a reader
// or their organisation may be named, so that nobody judges their own work: by the
// original and its results, by every other report of the study that is not ours,
// by the study itself (FHIR R4 imagingstudy-definitions.html#ImagingStudy.interpreter),
// and by documents that are its report.
func (d *dossier) findFirstReaders(ctx context.Context, r resolver) error {
	if err := d.nameReadersOf(ctx, r, d.original, d.originalUnclear); err != nil {
		return err
	}
	d.first.Authors = slices.Clone(d.first.Readers) // who made the original itself
	if id := d.study.id(); id != "" {
		all, err := r.referringTo(ctx, "DiagnosticReport", "imaging-study", "ImagingStudy/"+id)
		if err != nil {
			return err
		}
		for _, report := range all {
			if isOurs(report.Node) || report.id() == d.original.id() {
				continue
			}
			made, err := d.precedenceOf(ctx, r, report)
			if err == nil && made != madeAfter {
				err = d.nameReadersOf(ctx, r, report, made == madeUnclear)
			}
			if err != nil {
				return err
			}
		}
	}
	if err := d.findInterpreters(ctx, r); err != nil {
		return err
	}
	for _, document := range d.documents {
		if err := nameParties(ctx, r, &d.first, document, "author", "authenticator"); err != nil {
			return err
		}
	}
	return nil
}

// nameReadersOf names who made a report and its results.
func (d *dossier) nameReadersOf(ctx context.Context, r resolver, report found, isUnclear bool) error {
	who := &d.first
	if isUnclear {
		who = &d.unclear
	}
	if err := nameParties(ctx, r, who, report, "performer", "resultsInterpreter"); err != nil {
		return err
	}
	for _, ref := range report.Each("result") {
		result, err := r.follow(ctx, ref, report.Node)
		if err != nil {
			return err
		}
		if err := nameParties(ctx, r, who, result, "performer"); err != nil {
			return err
		}
	}
	return nil
}

// findInterpreters: a study names whoever has interpreted it, and not when. One who
// was not known when the second opinion was signed may be who signed it.
func (d *dossier) findInterpreters(ctx context.Context, r resolver) error {
	for _, ref := range d.study.Each("interpreter") {
		var who workflow.FirstReaders
		if err := nameParty(ctx, r, &who, mention{ref, d.study.Node}, 0); err != nil {
			return err
		}
		if d.c.FinalAt == nil || knownReader(d.c.Exam, who) {
			addTo(&d.first, who)
		} else {
			addTo(&d.unclear, who)
		}
	}
	return nil
}

func nameParties(ctx context.Context, r resolver, who *workflow.FirstReaders, f found, elements ...string) error {
	for _, element := range elements {
		for _, ref := range f.Each(element) {
			if err := nameParty(ctx, r, who, mention{ref, f.Node}, 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// findRequester names who asks in every way in which they may be named.
func (d *dossier) findRequester(ctx context.Context, r resolver) error {
	var asks workflow.FirstReaders
	for _, n := range []*Node{d.order, d.task} {
		if ref := n.Get("requester"); ref != nil {
			if err := nameParty(ctx, r, &asks, mention{ref, n}, 0); err != nil {
				return err
			}
		}
	}
	d.requesters = slices.Concat(asks.Readers, asks.Groups)
	return nil
}

// deepestTeam is how far a team of teams is followed.
const deepestTeam = 3

func nameParty(ctx context.Context, r resolver, who *workflow.FirstReaders, m mention, depth int) error {
	f, err := r.follow(ctx, m.ref, m.parent)
	if err != nil || depth > deepestTeam {
		return err
	}
	typ := f.Type()
	if f.Node == nil {
		typ = targetType(m.ref, m.parent)
	}
	var members []*Node
	switch typ {
	case "Organization":
		who.Groups = appendNames(who.Groups, f, m.ref)
		return nil
	case "Patient", "Device", "RelatedPerson": // read nothing
		return nil
	case "PractitionerRole":
		members = append(f.Each("practitioner"), f.Each("organization")...)
	case "CareTeam":
		members = append(f.Each("participant", "member"), f.Each("managingOrganization")...)
	}
	if len(f.Each("practitioner"))+len(f.Each("participant")) == 0 {
		namePerson(who, f, m.ref)
	}
	for _, ref := range members {
		if err := nameParty(ctx, r, who, mention{ref, f.Node}, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// namePerson: names count where no identifier tells one person from another.
func namePerson(who *workflow.FirstReaders, f found, ref *Node) {
	keys := appendNames(nil, f, ref)
	for _, key := range keys {
		if !slices.Contains(who.Readers, key) {
			who.Readers = append(who.Readers, key)
		}
	}
	if slices.ContainsFunc(keys, func(key string) bool { return strings.Contains(key, "|") }) {
		return
	}
	names := []string{ref.Text("display")}
	if f.Type() == "Practitioner" {
		names = append(names, humanName(f.Node))
	}
	for _, name := range names {
		if name != "" && !slices.Contains(who.Names, name) {
			who.Names = append(who.Names, name)
		}
	}
}

func appendNames(names []string, f found, ref *Node) []string {
	add := func(name string) {
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if f.id() != "" {
		add(f.Type() + "/" + f.id())
	}
	add(identifierKey(ref.Get("identifier")))
	for _, id := range f.Each("identifier") {
		add(identifierKey(id))
	}
	return names
}
