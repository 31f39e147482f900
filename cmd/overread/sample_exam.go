package main

import "github.com/overread/overread/workflow"

// A sample is one examination with everything that was said about it: what
// the first reader reported, what the clinician asks, and what our reader
// sees. The people are invented; the findings are of the kind that second
// readings are about.
type sample struct {
	Who        string // child, woman, man, or "" for any adult
	Exam       exam
	Question   string
	History    string
	Findings   string // of the original report
	Impression string
	Second     workflow.Opinion
	Diff       difference
}

// exam is the examination as the ordering hospital's systems describe it.
type exam struct {
	Display    string
	LOINC      string // "" where the hospital has its own code only
	Modality   string // DICOM
	Site       workflow.Coding
	Laterality string // right, left or ""
	Series     int
	Instances  int
}

// difference is what our reader grades; the zero value is full agreement.
type difference struct {
	Text         string // what differs and why it matters, in plain words
	Significance string // unimportant, important
	Nature       string // detection, interpretation, communication, technique
	Direction    string // miss, undercall, overcall, misinterpretation, location
	Management   string // none, work-up, treatment, staging, referral
	Actionable   string // none, non-critical, urgent, emergent
}

func site(code, display string) workflow.Coding {
	return workflow.Coding{System: "http://snomed.info/sct", Code: code, Display: display}
}

// samples by name; sample_case.go says what becomes of each.
var samples = map[string]sample{
	"brain": {
		Exam:       exam{"MR Brain WO and W contrast IV", "", "MR", site("12738006", "Brain"), "", 9, 640},
		Question:   "Is there a structural cause of the new focal seizures? Surgery would be considered.",
		History:    "Focal seizures for eight months, resistant to two drugs. EEG: left temporal sharp waves.",
		Findings:   "Brain parenchyma of normal volume and signal. No restricted diffusion. No pathological enhancement. Ventricles and cisterns of normal width.",
		Impression: "Normal magnetic resonance imaging of the brain.",
		Second: workflow.Opinion{
			Technique:  "3 T, epilepsy protocol with coronal FLAIR and T1 volume acquisition, before and after contrast.",
			Findings:   "The left hippocampus is smaller than the right (about one third less in volume) with increased FLAIR signal and loss of its internal architecture. The left fornix and mammillary body are slightly smaller. No mass, no cortical malformation, no enhancement.",
			Impression: "Left hippocampal sclerosis.", Recommendation: "Discussion in the epilepsy surgery conference; FDG PET may add lateralising information.",
		},
		Diff: difference{"The asymmetry and the signal change of the left hippocampus are not mentioned in the first report. They explain the seizures and make the patient a candidate for surgery.", "important", "detection", "miss", "referral", "non-critical"},
	},
	"chest-ct": {
		Exam:       exam{"CT Chest", "24627-2", "CT", site("51185008", "Thoracic structure"), "", 4, 412},
		Question:   "Can we follow the nodule, or does it need work-up now?",
		History:    "40 pack-years, cough for six weeks. Colon cancer resected in 2019, no relapse known.",
		Findings:   "Centrilobular emphysema. A calcified granuloma of 4 mm in the right lower lobe. No enlarged lymph nodes. Coronary calcification.",
		Impression: "Emphysema. Calcified granuloma in the right lower lobe, no follow-up needed.",
		Second: workflow.Opinion{
			Technique: "1 mm slices, portal venous phase.", Comparison: "No earlier chest CT was available.",
			Findings:   "Centrilobular emphysema. Calcified granuloma of 4 mm in the right lower lobe. In addition a solid, spiculated nodule of 11 x 9 mm in the apical segment of the left upper lobe, partly behind the first rib (series 3, image 41). No enlarged mediastinal or hilar nodes. No pleural effusion. Adrenals unremarkable.",
			Impression: "1. Spiculated solid nodule of 11 mm in the left upper lobe, suspicious for primary lung cancer.\n2. Calcified granuloma in the right lower lobe, benign.\n3. Emphysema.", Recommendation: "PET-CT and presentation to the thoracic tumour board; tissue sampling depending on the result.",
			Conclusions: []workflow.Coding{{System: "http://snomed.info/sct", Code: "427359005", Display: "Solitary nodule of lung"}},
		},
		Diff: difference{"The first report does not mention the spiculated nodule in the left upper lobe. It is likely to be malignant and of a size at which it can be cured.", "important", "detection", "miss", "work-up", "urgent"},
	},
	"mammogram": {
		Who:        "woman",
		Exam:       exam{"MG Left breast Diagnostic", "", "MG", site("80248007", "Left breast structure"), "left", 2, 6},
		Question:   "Are the calcifications suspicious enough for a biopsy?",
		History:    "Recalled from screening. Mother with breast cancer at 48.",
		Findings:   "Heterogeneously dense breast (ACR c). Group of calcifications in the upper outer quadrant, round and punctate.",
		Impression: "Probably benign calcifications, BI-RADS 3. Control in six months.",
		Second: workflow.Opinion{
			Technique:  "Two views with spot magnification, craniocaudal and true lateral.",
			Findings:   "Heterogeneously dense breast (ACR c). In the upper outer quadrant a group of calcifications over 14 mm in segmental arrangement, fine pleomorphic, some of them branching. No mass. Skin and nipple unremarkable.",
			Impression: "Suspicious calcifications in segmental distribution, BI-RADS 4C.", Recommendation: "Stereotactic vacuum-assisted biopsy.",
		},
		Diff: difference{"Form and arrangement of the calcifications are judged as suspicious rather than probably benign; biopsy instead of control in six months.", "important", "interpretation", "undercall", "work-up", "urgent"},
	},
	"knee": {
		Exam:       exam{"MR Right knee WO contrast", "", "MR", site("72696002", "Knee region structure"), "right", 6, 168},
		Question:   "Is the medial meniscus torn in a way that can be repaired?",
		History:    "Plays football, twisting injury three weeks ago, locking of the joint.",
		Findings:   "Joint effusion. Horizontal tear in the posterior horn of the medial meniscus. Cruciate ligaments continuous. Bone marrow oedema of the lateral tibial plateau.",
		Impression: "Horizontal tear of the posterior horn of the medial meniscus.",
		Second: workflow.Opinion{
			Technique:  "Proton density weighted with fat saturation in three planes, sagittal T1.",
			Findings:   "Moderate effusion. Vertical longitudinal tear of the posterior horn of the medial meniscus, in the vascularised outer third, 14 mm long, not displaced. Horizontal component of small extent. Anterior cruciate ligament continuous with slight oedema. Marrow oedema of the lateral tibial plateau.",
			Impression: "Vertical longitudinal tear of the medial meniscus in its outer third.", Recommendation: "Orthopaedic consultation; the tear may be suitable for repair.",
		},
		Diff: difference{"The tear is described as vertical and peripheral rather than horizontal; an orthopaedic opinion is suggested.", "unimportant", "interpretation", "misinterpretation", "referral", "non-critical"},
	},
	"child-chest": {
		Who:        "child",
		Exam:       exam{"XR Chest 2 Views", "36643-5", "DX", site("51185008", "Thoracic structure"), "", 1, 2},
		Question:   "Pneumonia, or a foreign body?",
		History:    "Cough and fever for three days, one-sided wheeze. Ate peanuts a week ago.",
		Findings:   "Increased perihilar markings. No consolidation. Heart of normal size.",
		Impression: "Findings of a viral airway infection.",
		Second: workflow.Opinion{
			Findings:   "The left lung is more lucent than the right and its volume is slightly increased, with the mediastinum shifted to the right by about 5 mm. Perihilar markings are increased. No consolidation, no effusion.",
			Impression: "Air trapping of the left lung, as with a foreign body in the left main bronchus.", Recommendation: "Bronchoscopy without delay.",
		},
		Diff: difference{"Air trapping of the left lung was not described. Together with the history it suggests an inhaled foreign body.", "important", "detection", "miss", "treatment", "emergent"},
	},
	"head-ct": {
		Exam:       exam{"CT Head WO contrast", "", "CT", site("69536005", "Head structure"), "", 3, 190},
		Question:   "Is it safe to continue anticoagulation?",
		History:    "Fall yesterday, on apixaban, headache, no focal deficit.",
		Findings:   "Age-appropriate atrophy. No intracranial haemorrhage. No fracture.",
		Impression: "No traumatic lesion.",
		Second: workflow.Opinion{
			Technique:  "Helical, 1 mm, with coronal reformations.",
			Findings:   "Thin subdural collection along the right cerebral convexity, up to 4 mm, isodense to slightly hyperdense, best seen on the coronal reformations. No midline shift. Atrophy as expected at this age. No fracture.",
			Impression: "Small acute to subacute subdural haematoma on the right.", Recommendation: "Neurosurgical advice today, pause of anticoagulation to be discussed, control CT in 6 to 12 hours.",
			Conclusions: []workflow.Coding{{System: "http://snomed.info/sct", Code: "35486000", Display: "Subdural intracranial hemorrhage"}},
		},
		Diff: difference{"A thin subdural haematoma on the right is not in the first report. It bears on the anticoagulation at once.", "important", "detection", "miss", "treatment", "emergent"},
	},
	"abdomen": {
		Exam:       exam{"CT Abdomen and Pelvis W contrast IV", "36813-4", "CT", site("818983003", "Abdomen"), "", 5, 720},
		Question:   "Is the pancreatic lesion resectable?",
		History:    "Painless jaundice, weight loss of 8 kg in two months.",
		Findings:   "Hypodense mass of 28 mm in the head of the pancreas with dilatation of both ducts. Contact to the superior mesenteric vein of less than 180 degrees. Liver without focal lesion.",
		Impression: "Carcinoma of the head of the pancreas, resectable.",
		Second: workflow.Opinion{
			Technique:  "Biphasic pancreas protocol.",
			Findings:   "Hypodense mass of 29 mm in the head of the pancreas, double duct sign. Contact to the superior mesenteric vein of about 150 degrees without deformation. Arteries free. Liver without focal lesion. No peritoneal disease.",
			Impression: "Carcinoma of the head of the pancreas, resectable by imaging.", Recommendation: "Presentation to the tumour board.",
		},
	},
	"prostate": {
		Who:        "man",
		Exam:       exam{"MR Prostate WO and W contrast IV", "", "MR", site("41216001", "Prostatic structure"), "", 7, 310},
		Question:   "Where should the targeted biopsy be taken?",
		History:    "PSA 9.4 ng/ml and rising, one negative systematic biopsy.",
		Findings:   "Prostate of 48 ml. Focus of 12 mm in the left peripheral zone at mid-gland, markedly hypointense on ADC. No extension beyond the capsule.",
		Impression: "PI-RADS 4 lesion in the left peripheral zone.",
		Second: workflow.Opinion{
			Technique:  "Multiparametric, 3 T.",
			Findings:   "Prostate of 47 ml. Focus of 12 mm in the left posterolateral peripheral zone at mid-gland with marked restriction of diffusion and early enhancement. A second focus of 6 mm in the anterior transition zone on the right, moderately hypointense, score 3. Capsule smooth.",
			Impression: "PI-RADS 4 on the left, PI-RADS 3 in the right anterior transition zone.", Recommendation: "Targeted biopsy of both foci.",
		},
		Diff: difference{"A second, smaller focus in the anterior transition zone is added as a target.", "unimportant", "detection", "miss", "work-up", "none"},
	},
	"spine": {
		Exam:       exam{"MR Lumbar spine", "24968-0", "MR", site("122496007", "Lumbar spine structure"), "", 5, 140},
		Question:   "Does the disc at L4/5 explain the weakness?",
		History:    "Sciatica on the right for five weeks, weakness of the big toe extensor.",
		Findings:   "Degeneration of the discs L4/5 and L5/S1. Right paramedian extrusion at L4/5 with compression of the right L5 root. Spinal canal of normal width.",
		Impression: "Right paramedian disc extrusion L4/5 with compression of the L5 root.",
		Second: workflow.Opinion{
			Technique:  "Sagittal T1, T2 and STIR, axial T2.",
			Findings:   "Degeneration of the discs L4/5 and L5/S1. Right paramedian extrusion at L4/5, 7 mm, displacing and flattening the right L5 root in the lateral recess. No stenosis of the canal. Conus at L1.",
			Impression: "Right paramedian disc extrusion L4/5 with compression of the right L5 root, which explains the weakness.", Recommendation: "Surgical assessment because of the motor deficit.",
		},
	},
	"elbow": {
		Who:        "child",
		Exam:       exam{"XR Left elbow 2 Views", "", "DX", site("16953009", "Elbow joint structure"), "left", 1, 2},
		Question:   "Fracture?",
		History:    "Fell from a climbing frame, swollen elbow, holds it bent.",
		Findings:   "No displaced fracture. Soft tissue swelling.",
		Impression: "No fracture.",
		Second: workflow.Opinion{
			Findings:   "Anterior and posterior fat pads are raised. The anterior humeral line passes through the anterior third of the capitellum. Fine cortical step of the distal humerus posteriorly.",
			Impression: "Supracondylar fracture of the humerus, minimally displaced (Gartland I), with joint effusion.", Recommendation: "Immobilisation, control in one week.",
		},
		Diff: difference{"Raised fat pads and a cortical step were not described: a supracondylar fracture that needs a cast.", "important", "detection", "miss", "treatment", "urgent"},
	},
	"pulmonary-angio": {
		Exam:       exam{"CT Pulmonary embolism protocol", "", "CT", site("81040000", "Pulmonary artery structure"), "", 3, 380},
		Question:   "Are the subsegmental filling defects real?",
		History:    "Chest pain and shortness of breath ten days after knee surgery, D-dimer 1.9 mg/l.",
		Findings:   "Filling defects in subsegmental arteries of the right lower lobe. Right ventricle of normal size.",
		Impression: "Subsegmental pulmonary embolism on the right.",
		Second: workflow.Opinion{
			Technique:  "Good opacification of the pulmonary arteries (340 HU in the trunk); breathing artefacts at the bases.",
			Findings:   "The hypodense areas in two subsegmental arteries of the right lower lobe lie within breathing artefacts and cannot be followed on neighbouring slices. No filling defect in central, lobar or segmental arteries. Right ventricle normal. Small atelectasis at both bases.",
			Impression: "No embolism that can be confirmed; the described defects are most likely artefacts.", Recommendation: "Compression ultrasound of the legs before a decision on anticoagulation.",
		},
		Diff: difference{"The filling defects are regarded as artefacts of breathing. Anticoagulation for months may be unnecessary.", "important", "interpretation", "overcall", "treatment", "urgent"},
	},
	"liver": {
		Exam:       exam{"MR Liver WO and W contrast IV", "", "MR", site("10200004", "Liver structure"), "", 8, 520},
		Question:   "Haemangioma or metastasis?",
		History:    "Newly diagnosed rectal cancer; indeterminate lesion of the liver at staging CT.",
		Findings:   "Lesion of 22 mm in segment VI, markedly hyperintense on T2, nodular peripheral enhancement with filling in.",
		Impression: "Haemangioma in segment VI.",
		Second: workflow.Opinion{
			Technique:  "Hepatobiliary contrast agent, dynamic series and late phase.",
			Findings:   "Lesion of 22 mm in segment VI, as bright as fluid on heavily T2-weighted images, with interrupted nodular enhancement from the edge and progressive filling. No further lesion, also not in the hepatobiliary phase or with diffusion weighting.",
			Impression: "Haemangioma in segment VI. No metastasis.",
		},
	},
	"thyroid": {
		Exam:       exam{"US Thyroid", "", "US", site("69748006", "Thyroid structure"), "", 1, 38},
		Question:   "Does the nodule need a fine needle aspiration?",
		History:    "Nodule felt by the family doctor, TSH normal.",
		Findings:   "Right lobe with a hypoechoic solid nodule of 16 mm, wider than tall, smooth margin.",
		Impression: "TI-RADS 4 nodule, aspiration recommended.",
		Second: workflow.Opinion{
			Findings:   "Solid hypoechoic nodule of 16 mm in the right lobe, wider than tall, smooth margin, no echogenic foci. Left lobe and lymph nodes unremarkable.",
			Impression: "TI-RADS 4 nodule of 16 mm on the right.", Recommendation: "Fine needle aspiration (1.5 cm or more).",
		},
	},
	"chest-xray": {
		Exam:       exam{"XR Chest 2 Views", "36643-5", "DX", site("51185008", "Thoracic structure"), "", 1, 2},
		Question:   "Is the shadow over the right apex new and does it matter?",
		History:    "Before hip replacement, no symptoms, former smoker.",
		Findings:   "Heart of normal size. Slight scarring at the right apex. Sinuses free.",
		Impression: "No acute disease. Apical scarring on the right.",
		Second: workflow.Opinion{
			Comparison: "Chest radiograph of 2021, report only.",
			Findings:   "Heart of normal size. Streaky opacity at the right apex with slight retraction, without a mass. Costophrenic angles free. Degeneration of the thoracic spine.",
			Impression: "Apical scarring on the right, no sign of malignancy.",
		},
	},
	"pet": {
		Exam:       exam{"PET-CT whole body FDG", "", "PT", site("38266002", "Entire body as a whole"), "", 3, 900},
		Question:   "Is the uptake in the hilum disease or inflammation?",
		History:    "Hodgkin lymphoma, end of treatment.",
		Findings:   "Symmetrical uptake in both hila, SUV 4.1. No other foci.",
		Impression: "Residual lymphoma cannot be excluded. Deauville 3.",
	},
}
