package org.overread.validator;

import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.DefaultProfileValidationSupport;
import ca.uhn.fhir.context.support.IValidationSupport.IssueSeverity;
import ca.uhn.fhir.context.support.ValidationSupportContext;
import ca.uhn.fhir.validation.FhirValidator;
import ca.uhn.fhir.validation.ResultSeverityEnum;
import ca.uhn.fhir.validation.SingleValidationMessage;
import ca.uhn.fhir.validation.ValidationOptions;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.hl7.fhir.common.hapi.validation.support.CommonCodeSystemsTerminologyService;
import org.hl7.fhir.common.hapi.validation.support.InMemoryTerminologyServerValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.PrePopulatedValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.SnapshotGeneratingValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.UnknownCodeSystemWarningValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.ValidationSupportChain;
import org.hl7.fhir.common.hapi.validation.validator.FhirInstanceValidator;
import org.hl7.fhir.common.hapi.validation.validator.WorkerContextValidationSupportAdapter;
import org.hl7.fhir.r4.model.ElementDefinition;
import org.hl7.fhir.r4.model.Measure;
import org.hl7.fhir.r4.model.Resource;
import org.hl7.fhir.r4.model.StructureDefinition;

/**
 * Judges files by the official HL7 validator, offline.
 *
 * <pre>
 * snapshot DEFINITIONS        gives each StructureDefinition there its snapshot
 * judge DEFINITIONS FOLDER    sound/*.json: no error
 *                             profiled/ID.*.json: no error against our profile ID
 *                             refused/*.json: some error
 *                             broken/KEY.*.json: the constraint KEY is broken
 *                             mended/KEY.*.json: the constraint KEY is kept
 * </pre>
 */
public final class Validator {
  private static final FhirContext R4 = FhirContext.forR4();
  private static final String CANONICAL = "https://overread.org/fhir/StructureDefinition/";

  private final PrePopulatedValidationSupport ours = new PrePopulatedValidationSupport(R4);
  private final ValidationSupportChain support;
  private final FhirValidator validator;
  private int judged;
  private int wrong;

  private Validator(Path definitions) throws IOException {
    for (Path file : files(definitions, 1)) {
      ours.addResource(R4.newJsonParser().parseResource(Files.readString(file)));
    }
    UnknownCodeSystemWarningValidationSupport unknown = new UnknownCodeSystemWarningValidationSupport(R4);
    unknown.setNonExistentCodeSystemSeverity(IssueSeverity.WARNING); // LOINC, DICOM, RadLex: not here
    support = new ValidationSupportChain(
        new DefaultProfileValidationSupport(R4),
        ours,
        new CommonCodeSystemsTerminologyService(R4),
        new InMemoryTerminologyServerValidationSupport(R4),
        new SnapshotGeneratingValidationSupport(R4),
        unknown);
    FhirInstanceValidator instance = new FhirInstanceValidator(support);
    instance.setWrappedWorkerContext(support, new WorkerContextValidationSupportAdapter(support) {
      @Override // HAPI has none (HAPI-2509), and a MeasureReport cannot be judged without
      public <T extends org.hl7.fhir.r5.model.Resource> List<T> fetchResourcesByUrl(Class<T> type, String url) {
        T one = fetchResource(type, url);
        return one == null ? List.of() : List.of(one);
      }
    });
    instance.setAnyExtensionsAllowed(true);
    instance.setErrorForUnknownProfiles(false); // IHE BALP: not here
    validator = R4.newValidator().registerValidatorModule(instance);
  }

  public static void main(String[] args) throws IOException {
    Path definitions = Path.of(args[1]);
    Validator v = new Validator(definitions);
    if (args[0].equals("snapshot")) {
      v.snapshots(definitions);
      return;
    }
    v.judge(Path.of(args[2]));
  }

  private static List<Path> files(Path folder, int depth) throws IOException {
    if (!Files.isDirectory(folder)) {
      return List.of();
    }
    try (Stream<Path> all = Files.walk(folder, depth)) {
      return all.filter(p -> p.toString().endsWith(".json")).sorted().toList();
    }
  }

  private void snapshots(Path definitions) throws IOException {
    for (Path file : files(definitions, 1)) {
      Resource resource = (Resource) R4.newJsonParser().parseResource(Files.readString(file));
      if (!(resource instanceof StructureDefinition profile)) {
        continue;
      }
      profile.setSnapshot(null);
      StructureDefinition whole =
          (StructureDefinition) support.generateSnapshot(new ValidationSupportContext(support), profile, profile.getUrl(), "", profile.getName());
      for (ElementDefinition e : whole.getSnapshot().getElement()) {
        e.getMapping().clear(); // to v2 and RIM, of the base: a third of the text, and no rule
        e.getExtension().clear();
        e.setComment(null).setRequirements(null).getAlias().clear();
      }
      Path to = definitions.resolve("snapshot").resolve(file.getFileName());
      Files.createDirectories(to.getParent());
      StructureDefinition only = new StructureDefinition();
      only.setId(profile.getIdElement().getIdPart());
      only.setUrl(profile.getUrl());
      only.setSnapshot(whole.getSnapshot());
      Files.writeString(to, R4.newJsonParser().setPrettyPrint(false).encodeResourceToString(only) + "\n");
      System.out.println(to);
    }
  }

  private void judge(Path folder) throws IOException {
    for (Path file : files(folder.resolve("sound"), 1)) { // a MeasureReport is held to its Measure
      Resource resource = (Resource) R4.newJsonParser().parseResource(Files.readString(file));
      if (resource instanceof Measure) {
        ours.addResource(resource);
      }
    }
    for (Path file : files(folder.resolve("sound"), 1)) {
      sound(file, new ValidationOptions());
    }
    for (Path file : files(folder.resolve("profiled"), 1)) {
      String id = file.getFileName().toString().split("\\.")[0];
      sound(file, new ValidationOptions().addProfile(CANONICAL + id));
    }
    for (Path file : files(folder.resolve("refused"), 1)) {
      refused(file);
    }
    for (Path file : files(folder.resolve("broken"), 1)) {
      breaks(file, true);
    }
    for (Path file : files(folder.resolve("mended"), 1)) {
      breaks(file, false);
    }
    System.out.printf("%d resources judged, %d judged otherwise than expected%n", judged, wrong);
    if (judged == 0 || wrong > 0) {
      System.exit(1);
    }
  }

  private List<SingleValidationMessage> messages(Path file, ValidationOptions options) throws IOException {
    judged++;
    return new ArrayList<>(validator.validateWithResult(Files.readString(file), options).getMessages());
  }

  private void sound(Path file, ValidationOptions options) throws IOException {
    boolean failed = false;
    for (SingleValidationMessage m : messages(file, options)) {
      if (m.getSeverity().compareTo(ResultSeverityEnum.ERROR) >= 0) {
        System.out.printf("%s: %s: %s%n", file.getFileName(), m.getLocationString(), m.getMessage());
        failed = true;
      }
    }
    wrong += failed ? 1 : 0;
  }

  private void refused(Path file) throws IOException {
    List<SingleValidationMessage> all = messages(file, new ValidationOptions());
    if (all.stream().noneMatch(m -> m.getSeverity().compareTo(ResultSeverityEnum.ERROR) >= 0)) {
      System.out.printf("%s: nothing is wrong for the validator%n", file.getFileName());
      wrong++;
    }
  }

  private void breaks(Path file, boolean expected) throws IOException {
    String key = file.getFileName().toString().split("\\.")[0];
    List<SingleValidationMessage> all = messages(file, new ValidationOptions());
    boolean broken = all.stream().anyMatch(m -> m.getMessage().contains(" " + key + ": ") || m.getMessage().contains("(" + key + ")"));
    if (broken != expected) {
      System.out.printf("%s: %s is %s for the validator, which says:%n", file.getFileName(), key, broken ? "broken" : "kept");
      all.forEach(m -> System.out.printf("    %s %s: %s%n", m.getSeverity(), m.getLocationString(), m.getMessage()));
      wrong++;
    }
  }
}
