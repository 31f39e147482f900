package workflow

import (
	"strings"
	"testing"
)

// realExams are names of exams as the LOINC/RSNA Radiology Playbook and
// departments write them, with a body site and who reads them.
const realExams = `
MR | Pelvis | MR Pelvis cervical cancer | genitourinary
CT | Abdomen | CT Abdomen, cervical carcinoma | abdominal
MR | Uterus | MR Foetal brain | genitourinary
CT | Chest | CT pulmonary angiogram | chest
CT | Head | CT head angiography | neuro
CT | Chest | CT Chest, brain metastases | chest
MR | Brain | MR Brain, lung cancer staging | neuro
CT | Abdomen | CT Abdomen, breast cancer | abdominal
MR | Liver | MR Liver, colon cancer with spinal metastases | abdominal
MR | Abdomen | MR Kidney, angiomyolipoma | abdominal
CT | Chest | CT Chest, breast cancer | chest
CT | | CT Abdomen, cervical carcinoma | abdominal
MR | | MR Pelvis cervical cancer | genitourinary
MR | | MR Foetal brain | genitourinary
CT | | CT pulmonary angiogram | chest
CT | | CT head angiography | neuro
MR | Brain | MR Brain WO and W contrast IV | neuro
CT | Head | CT Head WO contrast | neuro
CT | | CT Head WO contrast | neuro
CT | | CTA Head vessels and Neck vessels W contrast IV | neuro
CT | Neck | CTA Neck vessels W contrast IV | neuro
MR | Neck | MRA Neck vessels WO contrast | neuro
MR | Head | MRA Head vessels WO contrast | neuro
CT | Carotid artery | CT Angiogram Carotid artery W contrast IV | neuro
US | Neck | US Carotid arteries Doppler | vascular
MR | | MR Cervical spine WO contrast | neuro
MR | Neck | MR Cervical spine WO contrast | neuro
MR | Cervical spine structure | MR Cervical spine WO contrast | neuro
MR | Chest | MR Thoracic spine WO and W contrast IV | neuro
MR | Thoracic spine | MR Thoracic spine WO contrast | neuro
MR | Abdomen | MR Lumbar spine WO contrast | neuro
DX | CSPINE | XR Cervical spine 3 Views | neuro
MR | Pituitary | MR Pituitary and Sella turcica | neuro
CT | Head | CT Temporal bone WO contrast | head-neck
CT | Head | CT Paranasal sinuses WO contrast | head-neck
MR | Head | MR Head, sinus venous thrombosis | neuro
CT | Neck | CT Neck W contrast IV | head-neck
US | Thyroid | US Thyroid gland | head-neck
CT | Neck | CT Neck, cervical lymph nodes | head-neck
DX | Chest | XR Chest 2 Views | chest
CT | Chest | CT Chest WO contrast low dose | chest
CT | | CT Chest high resolution | chest
DX | Ribs | XR Ribs Left | chest
CT | CHEST | CTA Coronary arteries W contrast IV | cardiac
CT | | CT Angiography coronary arteries | cardiac
MR | Chest | MR Cardiac function | cardiac
MR | Heart | MR Heart WO and W contrast IV | cardiac
DX | Chest | XR Chest, cardiac failure | chest
MG | Breast | MG Breast screening bilateral | breast
MR | Chest | MR Breast bilateral W contrast IV | breast
US | Breast | US Breast limited | breast
CT | CHESTABDPELVIS | CT Chest and Abdomen and Pelvis W contrast IV | chest
CT | Abdomen | CT Abdomen and Pelvis W contrast IV | abdominal
MR | Abdomen | MR Abdomen MRCP | abdominal
US | Gallbladder | US Gallbladder | abdominal
US | Kidney | US Kidney bilateral | abdominal
MR | Head of pancreas | MR Pancreas W contrast IV | abdominal
MR | Pelvis | MR Rectum, local staging | abdominal
CT | Abdominal aorta | CTA Abdominal aorta W contrast IV | vascular
CT | Lower extremity | CTA Lower extremity vessels runoff | vascular
US | Lower extremity | US Lower extremity veins | vascular
MR | Prostate | MR Prostate multiparametric | genitourinary
MR | Uterine cervix | MR Pelvis W contrast IV | genitourinary
US | Pelvis | US Pelvis transvaginal | genitourinary
US | Scrotum | US Scrotum and testicle | genitourinary
MR | Knee | MR Knee left WO contrast | musculoskeletal
MR | Pelvis | MR Hip right WO contrast | musculoskeletal
MR | Head of femur | MR Hip avascular necrosis | musculoskeletal
DX | Hand | XR Hand 3 Views | musculoskeletal
MR | Shoulder | MR Shoulder arthrogram | musculoskeletal
PT | WHOLEBODY | PET CT whole body FDG | nuclear
XA | Head | XA Cerebral angiogram | vascular
`

func TestRealExamsGoToWhomDepartmentsSendThem(t *testing.T) {
	exams := strings.Split(strings.TrimSpace(realExams), "\n")
	for _, exam := range exams {
		col := strings.Split(exam, "|")
		for i := range col {
			col[i] = strings.TrimSpace(col[i])
		}
		got := DecideTriage(nil, Exam{Modality: col[0], BodySite: col[1], Display: col[2], PatientAge: 50}, "routine")
		if got.Subspecialty != col[3] {
			t.Errorf("%s: %s", exam, got.Why)
		}
	}
	if len(exams) < 60 {
		t.Error(len(exams))
	}
}
