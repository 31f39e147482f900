package fhir

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/workflow"
)

// deliverMessage queues what was said of a matter for every destination, in the
// lane of messages: an EHR that takes no Communications keeps no report waiting.
func (s *Server) deliverMessage(ctx context.Context, tx pgx.Tx, src reportSources, all []*Node) error {
	return s.queue(ctx, tx, src, workflow.LaneMessage, all, func(n *Node) bool { return n.Type() == "Communication" })
}

// queue packs resources for each destination as one transaction that updates each
// by its identifier, or the one that matters alone where an EHR takes no
// transactions.
func (s *Server) queue(ctx context.Context, tx pgx.Tx, src reportSources, lane workflow.Lane, all []*Node, main func(*Node) bool) error {
	destinations, err := workflow.DestinationsTx(ctx, tx)
	if err != nil || len(destinations) == 0 {
		return err
	}
	names, err := s.ehrNames(ctx, tx, src, all)
	if err != nil {
		return err
	}
	no, err := workflow.NextDeliveryNoTx(ctx, tx, src.Case.CaseID, lane)
	if err != nil {
		return err
	}
	for _, d := range destinations {
		p := updatesParcel(names, all, actorsOf(src, all))
		if d.Packaging == workflow.PackReport {
			for _, n := range all {
				if main(n) {
					p = updateParcel(names, n)
					break
				}
			}
		}
		err := workflow.QueueDeliveryTx(ctx, tx, workflow.Delivery{
			TenantID: src.Case.TenantID, CaseID: src.Case.CaseID, ReportNo: no, Lane: lane,
			Destination: d.Name, Method: p.Method, Path: p.Path, Body: p.Body,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// updatesParcel packs resources as one transaction, each to be updated by its
// identifier, so that sent twice they are there once.
func updatesParcel(names ehrNames, all, actors []*Node) parcel {
	inside := map[string]string{}
	for _, n := range append(append([]*Node{}, all...), actors...) {
		inside[n.Type()+"/"+n.Text("id")] = fullURL(n)
	}
	var entries []*Node
	for _, n := range actors {
		entries = append(entries, Object("fullUrl", fullURL(n), "resource", names.translate(n, inside),
			"request", Object("method", "POST", "url", n.Type(), "ifNoneExist", byBestIdentifier(n))))
	}
	for _, n := range all {
		entries = append(entries, Object("fullUrl", fullURL(n), "resource", names.translate(n, inside),
			"request", Object("method", "PUT", "url", n.Type()+"?"+byIdentifier(n))))
	}
	return parcel{Method: "POST", Body: Object("resourceType", "Bundle", "type", "transaction", "entry", entries).Bytes()}
}

// updateParcel packs one resource alone.
func updateParcel(names ehrNames, n *Node) parcel {
	return parcel{Method: "PUT", Path: n.Type() + "?" + byIdentifier(n), Body: names.translate(n, nil).Bytes()}
}

// publishPreliminary keeps a preliminary report of a case that is not signed, once
// its policy wants one for the finding, and brings it up to date with what
// becomes of the finding. It tells the finding and nothing else of the reading.
func (s *Server) publishPreliminary(ctx context.Context, tx pgx.Tx, ch workflow.Change, src reportSources, matters []*Node) error {
	c := ch.Case
	if c.ReportNo > 0 || c.ReportID == nil || c.ReportStatus == nil || *c.ReportStatus != "preliminary" {
		return nil
	}
	all, err := workflow.MattersTx(ctx, tx, c.CaseID)
	if err != nil {
		return err
	}
	report := registeredReport(src, "preliminary")
	said := []string{"Preliminary: the examination is still being read."}
	for _, m := range all {
		if m.Kind == workflow.FindingMatter && !m.Withdrawn() && !c.WaitsForSignature(m) {
			said = append(said, findingWords(m))
			report.Append("result", refer("Observation/"+derivedID(c, matterSlot(m.Kind, m.No)), "Observation", "Actionable finding"))
		}
	}
	report.Set("effectiveDateTime", effective(src))
	report.Set("issued", instant(ch.At))
	report.Set("conclusion", strings.Join(said, "\n\n"))
	return s.keepPreliminary(ctx, tx, ch, src, report, matters)
}

func (s *Server) keepPreliminary(ctx context.Context, tx pgx.Tx, ch workflow.Change, src reportSources, report *Node, matters []*Node) error {
	if _, err := s.putOf(ctx, tx, ch.Case, ch.Actor, report); err != nil {
		return err
	}
	if err := s.withholdOwn(ctx, tx, ch.Case, report); err != nil {
		return err
	}
	sent := []*Node{report}
	for _, n := range matters {
		if n.Type() == "Observation" {
			sent = append(sent, n)
		}
	}
	return s.queue(ctx, tx, src, workflow.LaneReport, sent, func(n *Node) bool { return n.Type() == "DiagnosticReport" })
}
