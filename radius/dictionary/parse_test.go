package dictionary_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"otpgate/radius/dictionary"
)

// file returns the path of a dictionary file with this text.
func file(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "lab.dictionary")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFilesAddAndReplace(t *testing.T) {
	d := open(t, file(t, `# a comment
vendor	Acme	0x7ED9	# in hexadecimal
VENDOR	Acme	32473
begin-vendor ACME
ATTRIBUTE	Acme-Role	1	integer
VALUE		Acme-Role	Reader	0
VALUE		Acme-Role	Writer	0o17
ATTRIBUTE	Acme-Tunnel	2	String	has_tag
ATTRIBUTE	Acme-Key	3	octets	encrypt=2
end-vendor Acme
ATTRIBUTE	Acme-Old	4	string	Acme
VALUE	Service-Type	Acme-User	200
ATTRIBUTE	Cisco-AVPair	1	string	Cisco
ATTRIBUTE	Framed-Pool	188	integer
`), file(t, "\r\nATTRIBUTE Acme-Old 4 string Acme\r\n"))
	for _, c := range []struct{ name, value, octets string }{
		{"Acme-Role", "writer", "1a0c00007ed9" + "01060000000f"},
		{"Acme-Tunnel", ":1:x", "1a0a00007ed9" + "02040178"},
		{"Acme-Old", "x", "1a0900007ed9" + "040378"},
		{"Service-Type", "Acme-User", "0606000000c8"},
		{"Service-Type", "NAS-Prompt-User", "060600000007"},
		{"Framed-Pool", "1", "bc0600000001"},
	} {
		wires, err := lookup(t, d, c.name).Encode(c.value)
		if err != nil || octets(wires[0]) != c.octets {
			t.Errorf("%s = %s is %v, %v", c.name, c.value, wires, err)
		}
	}
	if name, _ := d.Describe(dictionary.Wire{Type: 88, Value: []byte("x")}); name != "Attr-88" {
		t.Errorf("number 88 is still %s", name)
	}
}

func TestWhatIsWrongWithAFile(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"ATTRIBUTE A 1", `:1: ATTRIBUTE with 2 words (ATTRIBUTE Name number type [flags])`},
		{"\n\nATTRIBUT A 1 string", `:3: "ATTRIBUT" is no keyword`},
		{"ATTRIBUTE A 1 strnig", `"strnig" is not a type (did you mean string?)`},
		{"ATTRIBUTE A 1 quux", `(one of: string, octets, integer,`},
		{"ATTRIBUTE A 1 tlv", "type tlv is not supported (remove the line"},
		{"ATTRIBUTE A 1.2 string", "tlv is not supported"},
		{"ATTRIBUTE A 256 string", `"256" is too large (255 at most)`},
		{"ATTRIBUTE A 0 string", "has the number 0"},
		{"ATTRIBUTE A one string", `"one" is not a number (such as 17, 0x11 or 0o21)`},
		{"ATTRIBUTE A 017 string", "(0o17 for octal, 17 for decimal)"},
		{"ATTRIBUTE A -1 string", "is not a number"},
		{"ATTRIBUTE A 1 string quux", `"quux" is not a flag (has_tag, concat`},
		{"ATTRIBUTE A 1 string encrypt=4", `"encrypt=4" is not a flag`},
		{"ATTRIBUTE A 1 ipaddr has_tag", "ipaddr with a tag"},
		{"ATTRIBUTE A 1 octets[0]", "no such length"},
		{"ATTRIBUTE A 1 octets[254]", "no such length"},
		{"ATTRIBUTE A!B 1 string", `"A!B" is not a name`},
		{"ATTRIBUTE " + strings.Repeat("A", 129) + " 1 string", "is not a name"},
		{"ATTRIBUTE A 1 string\nATTRIBUTE a 2 string", ":2: a is defined at"},
		{"VALUE Service-Typ X 1", "(did you mean Service-Type?)"},
		{"VALUE Filter-Id X 1", "Filter-Id is string"},
		{"VALUE Service-Type 7 7", `"7" is not a name of a value`},
		{"VALUE Service-Type X 4294967296", "too large"},
		{"ATTRIBUTE A 250 byte\nVALUE A X 256", "(255 at most)"},
		{"ATTRIBUTE A 250 integer\nVALUE A X 1\nVALUE A x 2", `"x" of A is 1 already`},
		{"VENDOR V 0", "has the number 0"},
		{"VENDOR V 16777216", "too large"},
		{"VENDOR V 99 format=3,1", `"format=3,1" is not a format`},
		{"VENDOR V 99 format=1,1,c", "continuation octet"},
		{"VENDOR Cisco 10", "vendor Cisco is known already, and not like this (VENDOR Cisco 9 format=1,1)"},
		{"VENDOR Cisco2 9 format=2,1", "vendor 9 is known as Cisco already, with another format"},
		{"BEGIN-VENDOR Quux", `vendor "Quux" is not known`},
		{"BEGIN-VENDOR Cisco", ":1: BEGIN-VENDOR without its end (END-VENDOR Cisco)"},
		{"BEGIN-VENDOR Cisco\nBEGIN-VENDOR Cisco\nEND-VENDOR Cisco", "the block of vendor Cisco, on line 1"},
		{"END-VENDOR Cisco", "no vendor's block has begun"},
		{"BEGIN-VENDOR Cisco\nEND-VENDOR Aruba\nEND-VENDOR Cisco", "the block is of vendor Cisco"},
		{"BEGIN-VENDOR Cisco\nATTRIBUTE A 256 string\nEND-VENDOR Cisco", "too large"},
		{"VENDOR V 99 format=4,2\nBEGIN-VENDOR V\nATTRIBUTE A 1 octets[244]\nEND-VENDOR V", "does not fit into the vendor's format"},
		{"BEGIN-VENDOR Cisco\nATTRIBUTE A 1 string Aruba\nEND-VENDOR Cisco", `"Aruba" is not a flag`},
		{"$INCLUDE dictionary.acme", ":1: $INCLUDE is not followed (name that file in dictionary_files"},
		{"BEGIN-TLV A", "BEGIN-TLV is not supported"},
		{"ATTRIBUTE A\xff 1 string", "it is not text"},
	} {
		_, err := dictionary.New(file(t, c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "lab.dictionary:") {
			t.Errorf("%q: %v; want %s", c.text, err, c.want)
		}
		if bad := (*dictionary.Error)(nil); !errors.As(err, &bad) || bad.Line == 0 {
			t.Errorf("%q: %#v", c.text, err)
		}
	}
}

func TestAllThatIsWrongIsToldAndBounded(t *testing.T) {
	_, err := dictionary.New(file(t, strings.Repeat("QUUX\n", 1000)), filepath.Join(t.TempDir(), "missing"), t.TempDir())
	if err == nil {
		t.Fatal("no error")
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 20+1+2 || !errors.Is(err, os.ErrNotExist) || !strings.Contains(lines[22], "it is not a file") {
		t.Errorf("%d lines: %v", len(lines), err)
	}
	_, err = dictionary.New(file(t, strings.Repeat("#", dictionary.MaxFile+1)))
	if err == nil || !strings.Contains(err.Error(), "more than 1048576 octets") {
		t.Errorf("a large file: %v", err)
	}
	open(t, file(t, strings.Repeat("#", dictionary.MaxFile)))
	var many strings.Builder
	fmt.Fprintln(&many, "VENDOR V 99 format=4,1\nBEGIN-VENDOR V")
	for i := range 51_000 {
		fmt.Fprintf(&many, "ATTRIBUTE A%x %d byte\n", i, i)
	}
	if many.Len() > dictionary.MaxFile*3 {
		t.Fatal("the file is too large for what it shows")
	}
	half := strings.SplitAfter(many.String(), "\n")
	files := []string{}
	for begin := 2; begin < len(half); begin += 20_000 {
		files = append(files, file(t, half[0]+half[1]+strings.Join(half[begin:min(begin+20_000, len(half))], "")+"END-VENDOR V\n"))
	}
	if _, err = dictionary.New(files...); err == nil || !strings.Contains(err.Error(), "more than 50000 attributes") {
		t.Errorf("51,000 attributes: %v", err)
	}
}

func FuzzDictionary(f *testing.F) {
	f.Add("VENDOR A 99 format=2,2\nBEGIN-VENDOR A\nATTRIBUTE A-B 1 integer has_tag\nVALUE A-B C 1\nEND-VENDOR A")
	f.Add("ATTRIBUTE X 250 octets[5] concat,encrypt=2 # y")
	f.Add("VALUE Service-Type A 0x\n$INCLUDE /etc/passwd")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 1<<12 {
			return
		}
		d, errs := dictionary.Parse(text)
		for _, err := range errs {
			if len(err.Error()) > 1000 {
				t.Fatalf("a message of %d octets", len(err.Error()))
			}
		}
		if len(errs) > 21 {
			t.Fatalf("%d errors", len(errs))
		}
		for _, name := range d.Names() {
			a, ok := d.Lookup(name)
			if !ok {
				t.Fatalf("%s is not there", name)
			}
			for _, value := range []string{"1", ":1:1", "0x01", "192.0.2.1", "x", "::/0", strings.Repeat("ü", 300)} {
				wires, err := a.Encode(value)
				if (err == nil) == (len(wires) == 0) {
					t.Fatalf("%s = %s: %v, %v", name, value, wires, err)
				}
				for _, w := range wires {
					if len(w.Value) > 253 || !a.Is(w) {
						t.Fatalf("%s = %s is %x", name, value, w)
					}
					d.Describe(w)
				}
			}
		}
	})
}
