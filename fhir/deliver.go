package fhir

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/workflow"
)

// deliver packs a signed version once for each destination of the tenant and
// queues the bytes, in the transaction of the signature: what was signed is
// what is sent, however often it takes.
func (s *Server) deliver(ctx context.Context, tx pgx.Tx, src reportSources, report *Node, observations []*Node, provenance *Node) error {
	destinations, err := workflow.DestinationsTx(ctx, tx)
	if err != nil || len(destinations) == 0 {
		return err
	}
	all := append([]*Node{report, provenance}, observations...)
	names, err := s.ehrNames(ctx, tx, src, all)
	if err != nil {
		return err
	}
	for _, d := range destinations {
		p := transactionParcel(names, report, observations, provenance, actorsOf(src, all))
		if d.Packaging == workflow.PackReport {
			p = reportParcel(names, report)
		}
		err := workflow.QueueDeliveryTx(ctx, tx, workflow.Delivery{
			TenantID: src.Case.TenantID, CaseID: src.Case.CaseID, ReportNo: src.Report.No,
			Destination: d.Name, Method: p.Method, Path: p.Path, Body: p.Body,
			Withdraws: withdrawn(src),
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// actorsOf are our Organization and the Practitioners to whom what is sent refers, and
// nobody else who has a part in the case; an EHR that has them keeps its own.
func actorsOf(src reportSources, sent []*Node) []*Node {
	people := []*Node{src.Reader, src.Other, src.Adjudicator, src.Supervisor}
	for _, id := range slices.SortedFunc(maps.Keys(src.others), func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) }) {
		people = append(people, src.others[id])
	}
	var text strings.Builder
	for _, n := range sent {
		text.Write(n.Bytes())
	}
	all, brought := []*Node{identified(src.Service)}, map[string]bool{}
	for _, n := range people {
		if n == nil || brought[n.Text("id")] || !strings.Contains(text.String(), `"Practitioner/`+n.Text("id")+`"`) {
			continue
		}
		brought[n.Text("id")] = true
		all = append(all, identified(n))
	}
	return all
}

// identified gives a resource that came without an identifier ours, so that
// the EHR makes it once only.
func identified(n *Node) *Node {
	if n.Text("identifier", "value") != "" {
		return n
	}
	n = n.Clone()
	n.Append("identifier", Object("system", sidReader, "value", n.Text("id")))
	return n
}

// ehrNames looks up what everything that these resources refer to is called at
// the EHR, or by what identifier it may know it.
func (s *Server) ehrNames(ctx context.Context, tx pgx.Tx, src reportSources, resources []*Node) (ehrNames, error) {
	r, err := s.resolver(ctx, tx, src.Case.TenantID)
	if err != nil {
		return ehrNames{}, err
	}
	names := ehrNames{base: r.ehrBase, ours: s.baseURL, known: map[string]string{}, id: map[string]*Node{}}
	for _, n := range resources {
		for _, l := range linksOf(n, n.Type()) {
			local := l.target.relative()
			if l.isURI || !l.target.local() || names.known[local] != "" || names.id[local] != nil {
				continue
			}
			ehrID, ok, err := originOf(ctx, tx, l.target.typ, l.target.id)
			if err != nil {
				return names, fmt.Errorf("what the EHR calls a resource: %w", err)
			}
			if ok {
				names.known[local] = l.target.typ + "/" + ehrID
				continue
			}
			f, err := r.get(ctx, l.target.typ, l.target.id)
			if err != nil {
				return names, err
			}
			for _, id := range f.Each("identifier") {
				if id.Text("value") != "" {
					names.id[local] = id
					break
				}
			}
		}
	}
	return names, nil
}
