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
	reports := []found{d.original}
	if id := d.study.id(); id != "" {
		all, err := r.referringTo(ctx, "DiagnosticReport", "imaging-study", "ImagingStudy/"+id)
		if err != nil {
			return err
		}
		reports = append(reports, slices.DeleteFunc(all, func(f found) bool { return isOurs(f.Node) || f.id() == d.original.id() })...)
	}
	name := func(f found, elements ...string) error {
		for _, element := range elements {
			for _, ref := range f.Each(element) {
				if err := nameParty(ctx, r, &d.first, mention{ref, f.Node}, 0); err != nil {
					return err
				}
			}
		}
		return nil
	}
	for i, report := range reports {
		if err := name(report, "performer", "resultsInterpreter"); err != nil {
			return err
		}
		if i == 0 { // who made the original itself
			d.first.Authors = slices.Clone(d.first.Readers)
		}
		for _, ref := range report.Each("result") {
			result, err := r.follow(ctx, ref, report.Node)
			if err != nil {
				return err
			}
			if err := name(result, "performer"); err != nil {
				return err
			}
		}
	}
	if err := name(d.study, "interpreter"); err != nil {
		return err
	}
	for _, document := range d.documents {
		if err := name(document, "author", "authenticator"); err != nil {
			return err
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
