package dictionary

// Parse reads a file into a dictionary that has nothing built in but Service-Type.
func Parse(text string) (*Dictionary, []error) {
	d := &Dictionary{
		byName: map[string]*Attribute{}, byNumber: map[number]*Attribute{},
		vendors: map[string]*Vendor{}, vendorByID: map[uint32]*Vendor{},
	}
	d.read("built in", "ATTRIBUTE Service-Type 6 integer\nVENDOR Cisco 9")
	return d, d.read("fuzzed", text)
}
