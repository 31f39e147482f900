package phantom

// KeyObjects is the class of a Key Object Selection (PS3.4 table B.5-1).
const KeyObjects = storageClasses + "88.59"

// Selected is what a Key Object Selection says (PS3.3 section A.35.4).
type Selected struct {
	Title  string // code of its title in DCM: 113000, Of Interest
	Series string // UID of the series of the images
	Images []string
}

// elements are its title and the instances that it refers to.
func (s Selected) elements(st Study) set {
	var objects []set
	for _, uid := range s.Images {
		objects = append(objects, set{text(0x00081150, "UI", storageClasses+"4"), text(0x00081155, "UI", uid)})
	}
	series := set{sequence(0x00081199, objects...), text(0x0020000E, "UI", s.Series)}
	return set{
		sequence(0x0040A043, set{text(0x00080100, "SH", s.Title), text(0x00080102, "SH", "DCM"), text(0x00080104, "LO", "a title")}),
		sequence(0x0040A375, set{sequence(0x00081115, series), text(0x0020000D, "UI", st.UID)}),
	}
}
