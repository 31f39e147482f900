package org.overread.peers;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.rest.api.MethodOutcome;
import ca.uhn.fhir.rest.api.PreferReturnEnum;
import ca.uhn.fhir.rest.api.SearchStyleEnum;
import ca.uhn.fhir.rest.client.api.IGenericClient;
import ca.uhn.fhir.rest.client.api.ServerValidationModeEnum;
import ca.uhn.fhir.rest.client.interceptor.BearerTokenAuthInterceptor;
import ca.uhn.fhir.rest.server.exceptions.AuthenticationException;
import ca.uhn.fhir.rest.server.exceptions.BaseServerResponseException;
import ca.uhn.fhir.rest.server.exceptions.InvalidRequestException;
import ca.uhn.fhir.rest.server.exceptions.PreconditionFailedException;
import ca.uhn.fhir.rest.server.exceptions.ResourceGoneException;
import ca.uhn.fhir.rest.server.exceptions.ResourceNotFoundException;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import java.util.stream.Collectors;
import org.hl7.fhir.instance.model.api.IBaseBundle;
import org.hl7.fhir.r4.model.Bundle;
import org.hl7.fhir.r4.model.CapabilityStatement;
import org.hl7.fhir.r4.model.Enumerations.AdministrativeGender;
import org.hl7.fhir.r4.model.IdType;
import org.hl7.fhir.r4.model.OperationOutcome;
import org.hl7.fhir.r4.model.Parameters;
import org.hl7.fhir.r4.model.Patient;
import org.hl7.fhir.r4.model.Reference;
import org.hl7.fhir.r4.model.ServiceRequest;
import org.junit.jupiter.api.Test;

/** The HAPI FHIR generic client, as it comes from Maven Central, against a running Overread. */
class HapiClientTest {
    private static final String BASE = System.getenv("OVERREAD_BASE");
    private static final String SYSTEM = "urn:peer:" + UUID.randomUUID();
    private static final FhirContext FHIR = context();
    private static final IGenericClient CLIENT = client(System.getenv("OVERREAD_TOKEN"));

    /** The check of the server's CapabilityStatement stays on, as it is when nobody changes it. */
    private static FhirContext context() {
        FhirContext context = FhirContext.forR4();
        assertEquals(ServerValidationModeEnum.ONCE, context.getRestfulClientFactory().getServerValidationMode());
        return context;
    }

    private static IGenericClient client(String token) {
        assertNotNull(BASE, "OVERREAD_BASE and OVERREAD_TOKEN are needed: run make test-clients");
        IGenericClient client = FHIR.newRestfulGenericClient(BASE);
        client.registerInterceptor(new BearerTokenAuthInterceptor(token));
        return client;
    }

    private static String unique() {
        return UUID.randomUUID().toString();
    }

    private static Patient patient(String value) {
        Patient patient = new Patient();
        patient.addIdentifier().setSystem(SYSTEM).setValue(value);
        patient.addName().setFamily("Hapi").addGiven("Nora");
        patient.setGender(AdministrativeGender.FEMALE);
        return patient;
    }

    private static ServiceRequest order(IdType patient) {
        ServiceRequest order = new ServiceRequest();
        order.addIdentifier().setSystem(SYSTEM).setValue(unique());
        order.setStatus(ServiceRequest.ServiceRequestStatus.ACTIVE);
        order.setIntent(ServiceRequest.ServiceRequestIntent.ORDER);
        order.getCode().addCoding().setSystem("http://loinc.org").setCode("24627-2");
        order.setSubject(new Reference(patient.toUnqualifiedVersionless()));
        return order;
    }

    private static IdType create(org.hl7.fhir.r4.model.Resource resource) {
        return (IdType) CLIENT.create().resource(resource).execute().getId();
    }

    private static Set<String> ids(Bundle bundle, Bundle.SearchEntryMode mode) {
        return bundle.getEntry().stream()
                .filter(e -> e.getSearch().getMode() == mode)
                .map(e -> e.getResource().getIdElement().getIdPart())
                .collect(Collectors.toSet());
    }

    private static String firstText(BaseServerResponseException refused) {
        return ((OperationOutcome) refused.getOperationOutcome()).getIssueFirstRep().getDetails().getText();
    }

    @Test
    void createsReadsAndReadsAVersion() {
        MethodOutcome made = CLIENT.create().resource(patient(unique())).prefer(PreferReturnEnum.REPRESENTATION).execute();
        assertTrue(made.getCreated());
        assertEquals("1", made.getId().getVersionIdPart());
        Patient read = CLIENT.read().resource(Patient.class).withId(made.getId().getIdPart()).execute();
        assertTrue(read.equalsDeep((Patient) made.getResource()));
        Patient version = CLIENT.read().resource(Patient.class).withIdAndVersion(made.getId().getIdPart(), "1").execute();
        assertEquals("1", version.getMeta().getVersionId());
    }

    @Test
    void updatesAndIsToldWhenSomebodyWasFaster() {
        IdType id = create(patient(unique()));
        Patient first = CLIENT.read().resource(Patient.class).withId(id.getIdPart()).execute();
        first.setActive(true);
        assertEquals("2", CLIENT.update().resource(first).execute().getId().getVersionIdPart());
        first.setActive(false);
        assertThrows(PreconditionFailedException.class, () -> CLIENT.update().resource(first).withAdditionalHeader("If-Match", "W/\"1\"").execute());
    }

    @Test
    void patches() {
        IdType id = create(patient(unique()));
        CLIENT.patch().withBody("[{\"op\":\"replace\",\"path\":\"/gender\",\"value\":\"other\"}]").withId(id.toUnqualifiedVersionless()).execute();
        assertEquals(AdministrativeGender.OTHER, CLIENT.read().resource(Patient.class).withId(id.getIdPart()).execute().getGender());
    }

    @Test
    void deletesAndThenItIsGone() {
        IdType id = create(patient(unique()));
        CLIENT.delete().resourceById(id.toUnqualifiedVersionless()).execute();
        assertThrows(ResourceGoneException.class, () -> CLIENT.read().resource(Patient.class).withId(id.getIdPart()).execute());
    }

    @Test
    void readsTheHistory() {
        IdType id = create(patient(unique()));
        Patient patient = CLIENT.read().resource(Patient.class).withId(id.getIdPart()).execute();
        CLIENT.update().resource(patient.setActive(true)).execute();
        Bundle versions = CLIENT.history().onInstance(id.toUnqualifiedVersionless()).returnBundle(Bundle.class).execute();
        assertEquals(List.of("2", "1"), versions.getEntry().stream().map(e -> e.getResource().getMeta().getVersionId()).toList());
        assertFalse(CLIENT.history().onType(Patient.class).returnBundle(Bundle.class).count(3).execute().getEntry().isEmpty());
        assertFalse(CLIENT.history().onServer().returnBundle(Bundle.class).count(3).execute().getEntry().isEmpty());
    }

    @Test
    void createsUpdatesAndDeletesByCondition() {
        String value = unique();
        MethodOutcome first = CLIENT.create().resource(patient(value)).conditional().where(Patient.IDENTIFIER.exactly().systemAndCode(SYSTEM, value)).execute();
        MethodOutcome second = CLIENT.create().resource(patient(value)).conditional().where(Patient.IDENTIFIER.exactly().systemAndCode(SYSTEM, value)).execute();
        assertEquals(first.getId().getIdPart(), second.getId().getIdPart());
        Patient changed = patient(value).setActive(true);
        MethodOutcome updated = CLIENT.update().resource(changed).conditional().where(Patient.IDENTIFIER.exactly().systemAndCode(SYSTEM, value)).execute();
        assertEquals("2", updated.getId().getVersionIdPart());
        CLIENT.delete().resourceConditionalByType(Patient.class).where(Patient.IDENTIFIER.exactly().systemAndCode(SYSTEM, value)).execute();
        Bundle left = CLIENT.search().forResource(Patient.class).where(Patient.IDENTIFIER.exactly().systemAndCode(SYSTEM, value)).returnBundle(Bundle.class).execute();
        assertTrue(left.getEntry().isEmpty());
    }

    @Test
    void sendsATransactionAndABatch() {
        Bundle bundle = new Bundle().setType(Bundle.BundleType.TRANSACTION);
        bundle.addEntry().setFullUrl("urn:uuid:7d4f8e7e-4c55-4b57-9f0c-000000000001").setResource(patient(unique()))
                .getRequest().setMethod(Bundle.HTTPVerb.POST).setUrl("Patient");
        bundle.addEntry().setResource(order(new IdType("urn:uuid:7d4f8e7e-4c55-4b57-9f0c-000000000001")))
                .getRequest().setMethod(Bundle.HTTPVerb.POST).setUrl("ServiceRequest");
        Bundle answer = CLIENT.transaction().withBundle(bundle).execute();
        assertEquals(Bundle.BundleType.TRANSACTIONRESPONSE, answer.getType());
        IdType patient = new IdType(answer.getEntry().get(0).getResponse().getLocation());
        IdType order = new IdType(answer.getEntry().get(1).getResponse().getLocation());
        ServiceRequest read = CLIENT.read().resource(ServiceRequest.class).withId(order.getIdPart()).execute();
        assertEquals("Patient/" + patient.getIdPart(), read.getSubject().getReference());

        Bundle batch = new Bundle().setType(Bundle.BundleType.BATCH);
        batch.addEntry().getRequest().setMethod(Bundle.HTTPVerb.GET).setUrl("Patient/" + patient.getIdPart());
        batch.addEntry().getRequest().setMethod(Bundle.HTTPVerb.GET).setUrl("Patient/there-is-none");
        Bundle answers = CLIENT.transaction().withBundle(batch).execute();
        assertEquals(Bundle.BundleType.BATCHRESPONSE, answers.getType());
        assertEquals(List.of("200", "404"), answers.getEntry().stream().map(e -> e.getResponse().getStatus().substring(0, 3)).toList());
    }

    @Test
    void searchesWithAChainAndIncludes() {
        Patient patient = patient(unique());
        String family = "Chain" + unique();
        patient.getNameFirstRep().setFamily(family);
        IdType id = create(patient);
        IdType order = create(order(id));
        for (SearchStyleEnum style : List.of(SearchStyleEnum.GET, SearchStyleEnum.POST)) {
            Bundle found = CLIENT.search().forResource(ServiceRequest.class)
                    .where(ServiceRequest.PATIENT.hasChainedProperty(Patient.FAMILY.matches().value(family)))
                    .include(ServiceRequest.INCLUDE_SUBJECT)
                    .usingStyle(style)
                    .returnBundle(Bundle.class).execute();
            assertEquals(Set.of(order.getIdPart()), ids(found, Bundle.SearchEntryMode.MATCH));
            assertEquals(Set.of(id.getIdPart()), ids(found, Bundle.SearchEntryMode.INCLUDE));
        }
    }

    @Test
    void walksThePages() {
        IdType patient = create(patient(unique()));
        for (int i = 0; i < 5; i++) {
            create(order(patient));
        }
        Bundle page = CLIENT.search().forResource(ServiceRequest.class)
                .where(ServiceRequest.PATIENT.hasId(patient.getIdPart())).sort().descending(ServiceRequest.AUTHORED).count(2)
                .returnBundle(Bundle.class).execute();
        Set<String> seen = new HashSet<>(ids(page, Bundle.SearchEntryMode.MATCH));
        int total = seen.size();
        while (page.getLink(IBaseBundle.LINK_NEXT) != null) {
            page = CLIENT.loadPage().next(page).execute();
            total += page.getEntry().size();
            seen.addAll(ids(page, Bundle.SearchEntryMode.MATCH));
        }
        assertEquals(5, total);
        assertEquals(5, seen.size());
    }

    @Test
    void validatesAndTakesOutEverything() {
        Patient wrong = patient(unique());
        wrong.getMaritalStatus().addCoding().setSystem("http://terminology.hl7.org/CodeSystem/v3-MaritalStatus").setCode("M");
        MethodOutcome outcome = CLIENT.validate().resource(wrong).execute();
        assertNotNull(outcome.getOperationOutcome());

        IdType patient = create(patient(unique()));
        IdType order = create(order(patient));
        Parameters all = CLIENT.operation().onInstance(patient.toUnqualifiedVersionless()).named("$everything").withNoParameters(Parameters.class).execute();
        Bundle bundle = (Bundle) all.getParameterFirstRep().getResource();
        Set<String> ids = bundle.getEntry().stream().map(e -> e.getResource().getIdElement().getIdPart()).collect(Collectors.toSet());
        assertTrue(ids.containsAll(Set.of(patient.getIdPart(), order.getIdPart())), ids.toString());
    }

    @Test
    void readsTheCapabilityStatement() {
        CapabilityStatement statement = CLIENT.capabilities().ofType(CapabilityStatement.class).execute();
        assertEquals("4.0.1", statement.getFhirVersion().toCode());
        assertTrue(statement.getRestFirstRep().getResource().stream().anyMatch(r -> r.getType().equals("ServiceRequest")));
    }

    @Test
    void showsWhatTheOperationOutcomeSays() {
        assertNotNull(firstText(assertThrows(ResourceNotFoundException.class, () -> CLIENT.read().resource(Patient.class).withId("there-is-none").execute())));
        InvalidRequestException unknown = assertThrows(InvalidRequestException.class, () -> CLIENT.search().byUrl("Patient?no-such-parameter=1").returnBundle(Bundle.class).execute());
        assertTrue(firstText(unknown).contains("search parameter"), firstText(unknown));
        assertThrows(AuthenticationException.class, () -> client("nobody").read().resource(Patient.class).withId("x").execute());
    }
}
