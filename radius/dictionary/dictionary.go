package dictionary

import (
	"embed"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// builtin holds the tables, in FreeRADIUS's format.
//
//go:embed builtin
var builtin embed.FS

// MaxFile is the most octets of a dictionary file.
const MaxFile = 1 << 20

// maxAttributes is the most attributes of a dictionary; all of FreeRADIUS's have 9,000.
const maxAttributes = 50_000

// A Dictionary knows attributes by name and by number. It is safe for concurrent use: nobody changes
// it after [New].
type Dictionary struct {
	byName     map[string]*Attribute // in lower case
	byNumber   map[number]*Attribute
	vendors    map[string]*Vendor // in lower case
	vendorByID map[uint32]*Vendor
}

// number is a vendor's id, or 0, and the number of an attribute.
type number struct{ vendor, attribute uint32 }

// New returns the built-in dictionary with what the files add to it, in their order. The error
// joins an [*Error] for each thing that is wrong in a file, and names each file that cannot be read.
func New(files ...string) (*Dictionary, error) {
	d := &Dictionary{
		byName: map[string]*Attribute{}, byNumber: map[number]*Attribute{},
		vendors: map[string]*Vendor{}, vendorByID: map[uint32]*Vendor{},
	}
	tables, err := builtin.ReadDir("builtin")
	if err != nil {
		return nil, fmt.Errorf("dictionary: %w", err)
	}
	for _, table := range tables {
		text, err := builtin.ReadFile("builtin/" + table.Name())
		if err != nil {
			return nil, fmt.Errorf("dictionary: %w", err)
		}
		if errs := d.read(table.Name(), string(text)); len(errs) > 0 {
			return nil, fmt.Errorf("dictionary: built in: %w", errors.Join(errs...))
		}
	}
	for _, a := range d.byName {
		a.origin = ""
	}
	var errs []error
	for _, file := range files {
		text, err := readFile(file)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, d.read(file, text)...)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return d, nil
}

// readFile reads a file of a bounded size, and nothing that is no file: a pipe would never end.
func readFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("dictionary: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("dictionary: %w", err)
	}
	if !info.Mode().IsRegular() {
		return "", &Error{File: path, Message: "it is not a file", Hint: "name a dictionary file in FreeRADIUS's format"}
	}
	text, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err != nil {
		return "", fmt.Errorf("dictionary: %w", err)
	}
	if len(text) > MaxFile {
		return "", &Error{File: path, Message: fmt.Sprintf("it has more than %d octets", MaxFile), Hint: "leave out the vendors that you do not need"}
	}
	return string(text), nil
}

// Lookup returns the attribute with a name, without regard to case.
func (d *Dictionary) Lookup(name string) (*Attribute, bool) {
	a, ok := d.byName[strings.ToLower(name)]
	return a, ok
}

// Names returns the names of all attributes, sorted.
func (d *Dictionary) Names() []string {
	names := make([]string, 0, len(d.byName))
	for _, a := range d.byName {
		names = append(names, a.Name)
	}
	slices.Sort(names)
	return names
}

// Nearest returns the name that somebody who wrote another probably meant; "" when there is none.
func (d *Dictionary) Nearest(name string) string { return nearest(name, d.Names()) }
