package fhir

import (
	"slices"
	"strconv"
	"strings"
	"sync"

	apb "github.com/google/fhir/go/proto/google/fhir/proto/annotations_go_proto"
	rpb "github.com/google/fhir/go/proto/google/fhir/proto/r4/core/resources/bundle_and_contained_resource_go_proto"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/overread/overread/workflow"
)

// shape is what FHIR R4 says of one type: its elements by their names in JSON.
// Shapes come from google/fhir's protobuf descriptors, which were generated from the
// StructureDefinitions of the specification, and are made when first needed.
type shape struct {
	name     string // ServiceRequest, Coding, Entry
	resource bool
	elements map[string]*element // also valueString for value[x], and _birthDate
	choices  map[string][]string // value: valueBase64Binary, valueBoolean, ...
	required []string            // names of elements that must be there

	invariants []invariant
}

// element is one name that a type has in JSON.
type element struct {
	name      string // in FHIRPath: valueString is value, _birthDate is birthDate
	choice    bool
	list      bool
	primitive string          // FHIR's primitive type in protobuf's spelling, "" for others
	companion bool            // _birthDate: id and extensions of the primitive
	resource  bool            // any resource: contained, Bundle.entry.resource
	codes     map[string]bool // of a required binding, nil where there is none
	valueSet  string          // and its address
	targets   []string        // of a Reference: the types that it may lead to; empty for any
	message   protoreflect.MessageDescriptor

	invariants []invariant // of this element, beside those of its type
	concepts   ValueSet    // one of which a CodeableConcept has to have; nil for any
}

// jsonKinds: what primitives are in JSON, strings where not said. FHIR R4 json.html#primitive
var jsonKinds = map[string]nodeKind{
	"Boolean": boolNode, "Integer": numberNode, "PositiveInt": numberNode, "UnsignedInt": numberNode, "Decimal": numberNode,
}

var resourceTypes = sync.OnceValue(func() map[string]protoreflect.MessageDescriptor {
	fields := (&rpb.ContainedResource{}).ProtoReflect().Descriptor().Fields()
	types := make(map[string]protoreflect.MessageDescriptor, fields.Len())
	for i := range fields.Len() {
		message := fields.Get(i).Message()
		types[string(message.Name())] = message
	}
	return types
})

// resourceShape is nil where FHIR R4 has no such resource.
func resourceShape(typ string) *shape {
	if message := resourceTypes()[typ]; message != nil {
		return shapeOf(message)
	}
	return nil
}

var shapes sync.Map // protoreflect.FullName -> *shape

func shapeOf(message protoreflect.MessageDescriptor) *shape {
	if s, ok := shapes.Load(message.FullName()); ok {
		return s.(*shape)
	}
	s, _ := shapes.LoadOrStore(message.FullName(), newShape(message))
	return s.(*shape)
}

// shape of what the element holds; nil for any resource, and for primitives.
func (e *element) shape() *shape {
	switch {
	case e.companion:
		return companionShape()
	case e.resource || e.primitive != "":
		return nil
	}
	return shapeOf(e.message)
}

// companionShape is what _birthDate may have: the id and extensions of a primitive.
var companionShape = sync.OnceValue(func() *shape {
	all := newShape(resourceTypes()["Patient"].Fields().ByName("name").Message()) // any data type has both
	return &shape{name: "Element", elements: map[string]*element{"id": all.elements["id"], "extension": all.elements["extension"]}}
})

func newShape(message protoreflect.MessageDescriptor) *shape {
	s := &shape{
		name:     string(message.Name()),
		resource: structureKind(message) == apb.StructureDefinitionKindValue_KIND_RESOURCE,
		elements: map[string]*element{},
		choices:  map[string][]string{},
	}
	s.invariants = invariantsByPlace()[fhirPath(message)]
	fields := message.Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		if proto.GetExtension(field.Options(), apb.E_ValidationRequirement) == apb.Requirement_REQUIRED_BY_FHIR {
			s.required = append(s.required, field.JSONName())
		}
		switch {
		case field.Message() == nil:
		case field.ContainingOneof() != nil && field.Name() != "uri":
			// Reference holds the parts of a parsed reference: protobuf's, not FHIR's.
		case proto.HasExtension(field.Message().Options(), apb.E_IsChoiceType):
			s.addChoice(field)
		default:
			e := newElement(field.JSONName(), field.Message(), field.IsList())
			e.targets = targetsOf(field)
			s.add(field.JSONName(), e)
		}
	}
	if s.resource && s.elements["contained"] != nil {
		s.invariants = slices.Concat(invariantsByPlace()["DomainResource"], s.invariants)
	}
	for _, e := range s.elements {
		if topLevel(e.message) && !e.companion {
			e.invariants = invariantsByPlace()[fhirPath(message)+"."+e.name]
			e.concepts = requiredConcepts[fhirPath(message)+"."+e.name]
		}
	}
	if s.name == "Extension" {
		delete(s.elements, "_url") // FHIR R4 extensibility.html: url is an attribute, not an element
	}
	return s
}

// requiredConcepts are the required bindings of CodeableConcepts in the types
// that we serve; google/fhir knows those of codes only.
var requiredConcepts = map[string]ValueSet{
	"Condition.clinicalStatus":          conceptsOf(conditionStatus+"clinical", "active", "recurrence", "relapse", "inactive", "remission", "resolved"),
	"Condition.verificationStatus":      conceptsOf(conditionStatus+"ver-status", "unconfirmed", "provisional", "differential", "confirmed", "refuted", "entered-in-error"),
	"Measure.improvementNotation":       conceptsOf(improvement, "increase", "decrease"),
	"MeasureReport.improvementNotation": conceptsOf(improvement, "increase", "decrease"),
}

const improvement = "http://terminology.hl7.org/CodeSystem/measure-improvement-notation"

func conceptsOf(system string, codes ...string) ValueSet {
	var set ValueSet
	for _, code := range codes {
		set = append(set, workflow.Coding{System: system, Code: code})
	}
	return set
}

// fhirPath of a type is its name, and of what only one element is made of the
// path of that element: Bundle.entry.
func fhirPath(message protoreflect.MessageDescriptor) string {
	name := string(message.Name())
	if topLevel(message) {
		return name
	}
	return fhirPath(message.Parent().(protoreflect.MessageDescriptor)) + "." + strings.ToLower(name[:1]) + name[1:]
}

func topLevel(message protoreflect.MessageDescriptor) bool {
	return message.Parent() == message.ParentFile()
}

var invariantsByPlace = sync.OnceValue(func() map[string][]invariant {
	by := map[string][]invariant{}
	for _, v := range invariants() {
		by[v.on] = append(by[v.on], v)
	}
	return by
})

func (s *shape) addChoice(field protoreflect.FieldDescriptor) {
	types := field.Message().Fields()
	for i := range types.Len() {
		typ := types.Get(i)
		name := field.JSONName() + strings.ToUpper(typ.JSONName()[:1]) + typ.JSONName()[1:]
		e := newElement(field.JSONName(), typ.Message(), false)
		e.choice, e.targets = true, targetsOf(typ)
		s.add(name, e)
		s.choices[e.name] = append(s.choices[e.name], name)
	}
}

func (s *shape) add(name string, e *element) {
	s.elements[name] = e
	if e.primitive != "" {
		companion := *e
		companion.companion = true
		s.elements["_"+name] = &companion
	}
}

func newElement(name string, message protoreflect.MessageDescriptor, list bool) *element {
	e := &element{name: name, message: message, list: list}
	switch {
	case message.Name() == "Any" || message.Name() == "ContainedResource":
		e.resource = true
	case structureKind(message) == apb.StructureDefinitionKindValue_KIND_PRIMITIVE_TYPE:
		e.primitive = string(message.Name())
		e.codes, e.valueSet = codesOf(message)
	}
	return e
}

// targetsOf are the types that a Reference may lead to; empty for any.
func targetsOf(field protoreflect.FieldDescriptor) []string {
	targets, _ := proto.GetExtension(field.Options(), apb.E_ValidReferenceType).([]string)
	if slices.Contains(targets, "Resource") {
		return nil
	}
	return targets
}

func structureKind(message protoreflect.MessageDescriptor) apb.StructureDefinitionKindValue {
	return proto.GetExtension(message.Options(), apb.E_StructureDefinitionKind).(apb.StructureDefinitionKindValue)
}

// codesOf lists the codes of a required binding, exactly as FHIR writes them:
// google/fhir by itself takes ACTIVE and active for the same.
func codesOf(message protoreflect.MessageDescriptor) (map[string]bool, string) {
	value := message.Fields().ByName("value")
	if value == nil || value.Enum() == nil {
		return nil, ""
	}
	codes := map[string]bool{}
	values := value.Enum().Values()
	for i := range values.Len() {
		v := values.Get(i)
		if v.Number() == 0 {
			continue // INVALID_UNINITIALIZED
		}
		code := proto.GetExtension(v.Options(), apb.E_FhirOriginalCode).(string)
		if code == "" {
			code = strings.ReplaceAll(strings.ToLower(string(v.Name())), "_", "-")
		}
		codes[code] = true
	}
	return codes, proto.GetExtension(message.Options(), apb.E_FhirValuesetUrl).(string)
}

// path is where an element is: ServiceRequest.code.coding[0].system. It is of the
// simple subset of FHIRPath that OperationOutcome.issue.expression asks for.
type path []segment

type segment struct {
	name  string
	index int // -1 where the element is in no array
}

func (p path) String() string {
	var b strings.Builder
	for i, s := range p {
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(s.name)
		if s.index >= 0 {
			b.WriteString("[" + strconv.Itoa(s.index) + "]")
		}
	}
	return b.String()
}
