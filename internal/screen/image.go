package screen

// Image is one that the PACS renders: a page of ours that gives it, and what it shows.
type Image struct{ Source, Label string }
