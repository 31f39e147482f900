package fhir

import (
	"slices"
	"strings"
)

func bundleInvariants() []invariant {
	is := func(n *Node, types ...string) bool { return oneOf(n.Text("type"), types...) }
	entry := func(n *Node, breaks func(e *Node) bool) int { return slices.IndexFunc(n.Get("entry").Items(), breaks) }
	document := func(n *Node) bool { return n.Text("type") == "document" }
	first := func(n *Node) string {
		if entries := n.Get("entry").Items(); len(entries) > 0 {
			return entries[0].Get("resource").Type()
		}
		return ""
	}
	return []invariant{
		{key: "bdl-1", on: "Bundle", expression: "total.empty() or (type = 'searchset') or (type = 'history')", at: "total",
			text:  "only a searchset or history has a total: leave it out",
			holds: func(n *Node) bool { return !has(n, "total") || is(n, "searchset", "history") }},
		{key: "bdl-2", on: "Bundle", expression: "entry.search.empty() or (type = 'searchset')", at: "entry",
			text: "only a searchset has search in its entries: leave it out",
			breaker: func(n *Node) int {
				return entry(n, func(e *Node) bool { return has(e, "search") && !is(n, "searchset") })
			}},
		{key: "bdl-3", on: "Bundle", expression: "entry.all(request.exists() = (%resource.type = 'batch' or %resource.type = 'transaction' or %resource.type = 'history'))", at: "entry",
			text: "every entry of a batch, transaction or history has a request, no other has",
			breaker: func(n *Node) int {
				return entry(n, func(e *Node) bool { return has(e, "request") != is(n, "batch", "transaction", "history") })
			}},
		{key: "bdl-4", on: "Bundle", expression: "entry.all(response.exists() = (%resource.type = 'batch-response' or %resource.type = 'transaction-response' or %resource.type = 'history'))", at: "entry",
			text: "every entry of a batch-response, transaction-response or history has a response, no other has",
			breaker: func(n *Node) int {
				return entry(n, func(e *Node) bool {
					return has(e, "response") != is(n, "batch-response", "transaction-response", "history")
				})
			}},
		{key: "bdl-5", on: "Bundle.entry", expression: "resource.exists() or request.exists() or response.exists()",
			text:  "an entry needs a resource, a request or a response: add one",
			holds: func(n *Node) bool { return has(n, "resource") || has(n, "request") || has(n, "response") }},
		{key: "bdl-7", on: "Bundle", expression: "(type = 'history') or entry.where(fullUrl.exists()).select(fullUrl&resource.meta.versionId).isDistinct()", at: "entry",
			text: "an entry before this one has the same fullUrl: give each its own",
			breaker: func(n *Node) int {
				if is(n, "history") {
					return -1
				}
				return repeatedEntry(n)
			}},
		{key: "bdl-8", on: "Bundle.entry", expression: "fullUrl.contains('/_history/').not()", at: "fullUrl",
			text:  "a fullUrl names the resource, not a version of it: leave /_history/... out",
			holds: func(n *Node) bool { return !strings.Contains(n.Text("fullUrl"), "/_history/") }},
		{key: "bdl-9", on: "Bundle", expression: "type = 'document' implies (identifier.system.exists() and identifier.value.exists())", at: "identifier",
			text: "a document has an identifier with system and value: add it",
			holds: func(n *Node) bool {
				return !document(n) || has(n.Get("identifier"), "system") && has(n.Get("identifier"), "value")
			}},
		{key: "bdl-10", on: "Bundle", expression: "type = 'document' implies (timestamp.hasValue())", at: "timestamp",
			text:  "a document has a timestamp: add it",
			holds: func(n *Node) bool { return !document(n) || n.Text("timestamp") != "" }},
		{key: "bdl-11", on: "Bundle", expression: "type = 'document' implies entry.first().resource.is(Composition)", at: "entry",
			text:  "a document begins with its Composition: make it the first entry",
			holds: func(n *Node) bool { return !document(n) || first(n) == "Composition" }},
		{key: "bdl-12", on: "Bundle", expression: "type = 'message' implies entry.first().resource.is(MessageHeader)", at: "entry",
			text:  "a message begins with its MessageHeader: make it the first entry",
			holds: func(n *Node) bool { return n.Text("type") != "message" || first(n) == "MessageHeader" }},
	}
}

// repeatedEntry is the first entry with the fullUrl of one before it.
func repeatedEntry(bundle *Node) int {
	seen := map[string]bool{}
	return slices.IndexFunc(bundle.Get("entry").Items(), func(e *Node) bool {
		url := e.Text("fullUrl")
		key := url + " " + e.Text("resource", "meta", "versionId")
		again := url != "" && seen[key]
		seen[key] = true
		return again
	})
}
