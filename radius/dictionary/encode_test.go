package dictionary_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"otpgate/radius/dictionary"
)

func open(t testing.TB, files ...string) *dictionary.Dictionary {
	t.Helper()
	d, err := dictionary.New(files...)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func lookup(t testing.TB, d *dictionary.Dictionary, name string) *dictionary.Attribute {
	t.Helper()
	a, ok := d.Lookup(name)
	if !ok {
		t.Fatalf("there is no %s", name)
	}
	return a
}

// octets is the attribute as it stands in a packet, in hexadecimal.
func octets(w dictionary.Wire) string {
	return hex.EncodeToString(append([]byte{w.Type, byte(w.Octets())}, w.Value...))
}

// known are values with their octets, as the RFCs lay them out.
func known() []struct{ name, value, octets string } {
	text := func(s string) string { return hex.EncodeToString([]byte(s)) }
	return []struct{ name, value, octets string }{
		{"Service-Type", "Administrative-User", "060600000006"},
		{"Service-Type", "6", "060600000006"},
		{"service-type", "administrative-user", "060600000006"},
		{"Session-Timeout", "28800", "1b0600007080"},
		{"Session-Timeout", " 0xffffffff ", "1b06ffffffff"},
		{"Session-Timeout", "0o17", "1b060000000f"},
		{"Filter-Id", "std.ppp", "0b09" + text("std.ppp")},
		{"Reply-Message", "Grüße\r\n", "120b" + text("Grüße\r\n")},
		{"Class", "OU=staff", "190a" + text("OU=staff")},
		{"Class", "0x00ff", "190400ff"},
		{"Class", "0X41", "1906" + text("0X41")},
		{"Framed-IP-Address", "192.0.2.1", "0806c0000201"},
		{"Event-Timestamp", "1700000000", "37066553f100"},
		{"Event-Timestamp", "2023-11-14T22:13:20Z", "37066553f100"},
		{"NAS-IPv6-Address", "2001:db8::1", "5f1220010db8000000000000000000000001"},
		{"Framed-Interface-Id", "0:1:2:abcd", "600a000000010002abcd"},
		{"Framed-IPv6-Prefix", "2001:db8::/32", "6114002020010db8000000000000000000000000"},
		{"Framed-IPv6-Prefix", "::/0", "6114000000000000000000000000000000000000"},
		{"Tunnel-Type", "VLAN", "40060000000d"},
		{"Tunnel-Type", ":1:VLAN", "40060100000d"},
		{"Tunnel-Medium-Type", ":31:IEEE-802", "41061f000006"},
		{"Tunnel-Preference", "0xffffff", "530600ffffff"},
		{"Tunnel-Private-Group-Id", "42", "5104" + text("42")},
		{"Tunnel-Private-Group-Id", ":1:42", "510501" + text("42")},
		{"Tunnel-Private-Group-Id", ":0:42", "5104" + text("42")},
		{"Tunnel-Private-Group-Id", ":a:42", "5107" + text(":a:42")},
		{"Filter-Id", ":1:42", "0b07" + text(":1:42")},
		{"Cisco-AVPair", "shell:priv-lvl=15", "1a1900000009" + "0113" + text("shell:priv-lvl=15")},
		{"Fortinet-Group-Name", "vpn", "1a0b00003044" + "0105" + text("vpn")},
		{"ASA-Group-Policy", "staff", "1a0d00000c04" + "1907" + text("staff")},
		{"ASA-Privilege-Level", "15", "1a0c00000c04" + "dc060000000f"},
		{"F5-LTM-User-Role", "No-Access", "1a0c00000d2f" + "010600000384"},
		{"Juniper-Primary-Dns", "192.0.2.1", "1a0c00000a4c" + "1f06c0000201"},
	}
}

func TestKnownOctets(t *testing.T) {
	d := open(t)
	for _, c := range known() {
		wires, err := lookup(t, d, c.name).Encode(c.value)
		if err != nil || len(wires) != 1 || octets(wires[0]) != c.octets {
			t.Errorf("%s = %q is %v, %v; want %s", c.name, c.value, wires, err, c.octets)
			continue
		}
		name, value := d.Describe(wires[0])
		again, err := lookup(t, d, name).Encode(value)
		if !strings.EqualFold(name, c.name) || err != nil && c.name != "Reply-Message" || err == nil && !strings.HasPrefix(value, `"`) && octets(again[0]) != c.octets {
			t.Errorf("%s = %q reads %s = %q, which is %v, %v", c.name, c.value, name, value, again, err)
		}
		if a := lookup(t, d, c.name); !a.Is(wires[0]) || lookup(t, d, "Aruba-User-Role").Is(wires[0]) {
			t.Errorf("%s is not itself, or somebody else", c.name)
		}
	}
}

func TestOtherFormats(t *testing.T) {
	d := open(t, file(t, `
VENDOR USR 429 format=4,0
VENDOR Lucent 4846 format=2,1
VENDOR Starent 8164 format=2,2
VENDOR Lab 32473
BEGIN-VENDOR USR
ATTRIBUTE USR-Text 0x9000 string
END-VENDOR USR
BEGIN-VENDOR Lucent
ATTRIBUTE Lucent-Number 2 integer
END-VENDOR Lucent
BEGIN-VENDOR Starent
ATTRIBUTE SN-Text 258 string
END-VENDOR Starent
BEGIN-VENDOR Lab
ATTRIBUTE Lab-Byte 1 byte
ATTRIBUTE Lab-Short 2 short
ATTRIBUTE Lab-Long 3 integer64
ATTRIBUTE Lab-Signed 4 signed
ATTRIBUTE Lab-Ether 5 ether
ATTRIBUTE Lab-Prefix 6 ipv4prefix
ATTRIBUTE Lab-Address 7 combo-ip
ATTRIBUTE Lab-Three 8 octets[3]
ATTRIBUTE Lab-Pieces 9 octets concat
ATTRIBUTE Lab-Tagged 10 string has_tag
END-VENDOR Lab
`))
	for _, c := range []struct{ name, value, octets string }{
		{"USR-Text", "a", "1a0b000001ad" + "00009000" + "61"},
		{"Lucent-Number", "7", "1a0d000012ee" + "0002" + "07" + "00000007"},
		{"SN-Text", "ab", "1a0c00001fe4" + "0102" + "0006" + "6162"},
		{"Lab-Byte", "255", "1a0900007ed9" + "0103ff"},
		{"Lab-Short", "0x1234", "1a0a00007ed9" + "02041234"},
		{"Lab-Long", "18446744073709551615", "1a1000007ed9" + "030affffffffffffffff"},
		{"Lab-Signed", "-2", "1a0c00007ed9" + "0406fffffffe"},
		{"Lab-Ether", "00:53:00:0a:0b:0c", "1a0e00007ed9" + "0508005300" + "0a0b0c"},
		{"Lab-Prefix", "192.0.2.0/24", "1a0e00007ed9" + "06080018c0000200"},
		{"Lab-Address", "192.0.2.1", "1a0c00007ed9" + "0706c0000201"},
		{"Lab-Address", "2001:db8::1", "1a1800007ed9" + "071220010db8000000000000000000000001"},
		{"Lab-Three", "0x010203", "1a0b00007ed9" + "0805010203"},
		{"Lab-Tagged", ":2:x", "1a0a00007ed9" + "0a040278"},
	} {
		a := lookup(t, d, c.name)
		wires, err := a.Encode(c.value)
		if err != nil || len(wires) != 1 || octets(wires[0]) != c.octets {
			t.Errorf("%s = %q is %v, %v; want %s", c.name, c.value, wires, err, c.octets)
			continue
		}
		name, value := d.Describe(wires[0])
		again, err := a.Encode(value)
		if name != c.name || err != nil || octets(again[0]) != c.octets || !a.Is(wires[0]) {
			t.Errorf("%s = %q reads %s = %q, %v", c.name, c.value, name, value, err)
		}
	}
	pieces, err := lookup(t, d, "Lab-Pieces").Encode("0x" + strings.Repeat("ab", 500))
	if err != nil || len(pieces) != 3 || len(pieces[0].Value) != 253 || len(pieces[2].Value) != 6+500-2*247 {
		t.Errorf("500 octets in pieces: %v, %v", pieces, err)
	}
}

func TestWhatDoesNotFit(t *testing.T) {
	d := open(t)
	for _, c := range []struct{ name, value, want string }{
		{"Session-Timeout", "an hour", `Session-Timeout: "an hour" is not a number (a whole number from 0 to 4294967295)`},
		{"Session-Timeout", "4294967296", `"4294967296" is too large (a whole number from 0 to 4294967295)`},
		{"Session-Timeout", "-1", `"-1" is not a number`},
		{"Session-Timeout", "", "the value is empty"},
		{"Service-Type", "Administrator-User", "(did you mean Administrative-User?)"},
		{"Service-Type", "Administrative", "(did you mean Administrative-User?)"},
		{"Service-Type", "quux", "one of its names, or a whole number"},
		{"Tunnel-Type", "0x1000000", "from 0 to 16777215"},
		{"Tunnel-Type", ":32:VLAN", `"32" is not a tag (:1:value, up to :31:value)`},
		{"Tunnel-Type", ":999999999999999999999:VLAN", "is not a tag"},
		{"Tunnel-Private-Group-Id", "\x0142", "read as a tag"},
		{"Tunnel-Private-Group-Id", ":1:", "the value is empty"},
		{"Framed-IP-Address", "2001:db8::1", "is not an IPv4 address (such as 192.0.2.1)"},
		{"Framed-IP-Address", "192.0.2.1/32", "is not an IPv4 address"},
		{"NAS-IPv6-Address", "192.0.2.1", "is not an IPv6 address"},
		{"NAS-IPv6-Address", "fe80::1%eth0", "is not an IPv6 address"},
		{"NAS-IPv6-Address", "::ffff:192.0.2.1", "is not an IPv6 address"},
		{"Framed-IPv6-Prefix", "2001:db8::1/32", "write 2001:db8::/32"},
		{"Framed-IPv6-Prefix", "192.0.2.0/24", "is not a prefix"},
		{"Framed-Interface-Id", "1:2:3", "is not an interface id"},
		{"Event-Timestamp", "tomorrow", "is not a time"},
		{"Event-Timestamp", "-1", "is not a time"},
		{"Filter-Id", "", "the value is empty"},
		{"Filter-Id", "a\x00b", "holds a NUL"},
		{"Filter-Id", "\xff", "is not UTF-8"},
		{"Filter-Id", strings.Repeat("x", 4097), "a packet has no room"},
		{"Class", "0x0", "is not hexadecimal"},
		{"Class", "0x", "is not hexadecimal"},
		{"Class", "0xzz", "is not hexadecimal"},
		{"Class", "0x" + strings.Repeat("00", 254), "254 octets, of 253 at most"},
		{"ARAP-Password", "short", "and it has 16"},
		{"ARAP-Password", "0x00", "and it has 16"},
		{"User-Password", "secret", "has to be encrypted"},
		{"Tunnel-Password", ":1:secret", "has to be encrypted"},
		{"MS-MPPE-Send-Key", "0x00", "has to be encrypted"},
	} {
		wires, err := lookup(t, d, c.name).Encode(c.value)
		if err == nil || !strings.Contains(err.Error(), c.want) || wires != nil {
			t.Errorf("%s = %q: %v, %v; want %s", c.name, c.value, wires, err, c.want)
		}
		if bad := (*dictionary.ValueError)(nil); !errors.As(err, &bad) || bad.Attribute != c.name {
			t.Errorf("%s = %q: %#v", c.name, c.value, err)
		}
		if c.value != "secret" && err != nil && len(err.Error()) > 400 {
			t.Errorf("%s: the message has %d octets", c.name, len(err.Error()))
		}
	}
}

func TestNothingIsReadIntoOtherPeoplesText(t *testing.T) {
	d := open(t)
	for _, c := range []struct {
		name string
		tag  int
		text string
		want string
	}{
		{"Class", 0, "0x41", "\x30x41"},
		{"Tunnel-Private-Group-Id", 0, ":1:42", ":1:42"},
		{"Tunnel-Private-Group-Id", 3, ":1:42", "\x03:1:42"},
	} {
		wires, err := lookup(t, d, c.name).EncodeText(c.tag, c.text)
		if err != nil || len(wires) != 1 || string(wires[0].Value) != c.want {
			t.Errorf("%s = %q is %v, %v", c.name, c.text, wires, err)
		}
	}
	for _, tag := range []int{-1, 32, 256} {
		if _, err := lookup(t, d, "Tunnel-Type").EncodeText(tag, "VLAN"); err == nil {
			t.Errorf("tag %d", tag)
		}
	}
	if _, err := lookup(t, d, "Class").EncodeText(1, "x"); err == nil {
		t.Error("a tag where there are none")
	}
}

// TestOtherPeoplesTextIsOneAttribute: whoever may write a name cannot write an attribute with it.
func TestOtherPeoplesTextIsOneAttribute(t *testing.T) {
	d := open(t, file(t, "VENDOR Lab 32473\nBEGIN-VENDOR Lab\nATTRIBUTE Lab-Pieces 9 octets concat\nEND-VENDOR Lab\n"))
	for _, c := range []struct {
		name string
		tag  int
		most int
	}{{"Cisco-AVPair", 0, 247}, {"Class", 0, 253}, {"Filter-Id", 0, 253}, {"Tunnel-Private-Group-Id", 0, 253}, {"Tunnel-Private-Group-Id", 5, 252}} {
		a := lookup(t, d, c.name)
		if wires, err := a.EncodeText(c.tag, strings.Repeat("x", c.most)); err != nil || len(wires) != 1 || wires[0].Octets() != 255 {
			t.Errorf("%s with %d octets: %v, %v", c.name, c.most, wires, err)
		}
		wires, err := a.EncodeText(c.tag, strings.Repeat("x", c.most)+"shell:priv-lvl=15")
		if bad := (*dictionary.ValueError)(nil); !errors.As(err, &bad) || bad.Attribute != c.name || wires != nil {
			t.Errorf("%s is divided: %v, %v", c.name, wires, err)
		}
		for _, octet := range []string{"\x00", "\t", "\n", "\r", "\x1b", "\x1f", "\x7f", "\u0080", "\u0085", "\u009b", "\u009f", "\u2028", "\u2029"} {
			for _, text := range []string{octet, "a" + octet, octet + "a", "a" + octet + "b"} {
				wires, err := a.EncodeText(c.tag, text)
				if bad := (*dictionary.ValueError)(nil); !errors.As(err, &bad) || bad.Attribute != c.name || wires != nil {
					t.Errorf("%s with %q: %v, %v", c.name, text, wires, err)
				}
			}
		}
		for _, text := range []string{" ", "\u00a0", "~", "Grüße, 約聘 🔑", "a\u200db"} {
			if wires, err := a.EncodeText(c.tag, text); err != nil || len(wires) != 1 {
				t.Errorf("%s with %q: %v, %v", c.name, text, wires, err)
			}
		}
	}
	if wires, err := lookup(t, d, "Session-Timeout").EncodeText(0, "1\n"); err == nil {
		t.Errorf("a number with a line break: %v", wires)
	}
	if wires, err := lookup(t, d, "Lab-Pieces").EncodeText(0, strings.Repeat("x", 500)); err != nil || len(wires) != 3 {
		t.Errorf("pieces of one value: %v, %v", wires, err)
	}
	if wires, err := lookup(t, d, "Reply-Message").Encode("Welcome\r\n" + strings.Repeat("x", 300)); err != nil || len(wires) != 2 {
		t.Errorf("what the configuration has: %v, %v", wires, err)
	}
}

func FuzzEncodeText(f *testing.F) {
	d := open(f)
	names := d.Names()
	f.Add(uint16(0), 0, strings.Repeat("é", 200))
	f.Add(uint16(9), 3, "a\nb")
	f.Fuzz(func(t *testing.T, which uint16, tag int, text string) {
		a := lookup(t, d, names[int(which)%len(names)])
		wires, err := a.EncodeText(tag, text)
		if err != nil {
			if wires != nil {
				t.Fatal("attributes with an error")
			}
			return
		}
		if len(wires) != 1 && !a.Concat || strings.ContainsFunc(text, dictionary.IsControl) || !utf8.ValidString(text) {
			t.Fatalf("%s = %q is %d attributes", a.Name, text, len(wires))
		}
		for _, w := range wires {
			if len(w.Value) == 0 || len(w.Value) > 253 || !a.Is(w) {
				t.Fatalf("%s = %q is %x", a.Name, text, w.Value)
			}
		}
	})
}

// TestLongTexts: what does not fit into one attribute is divided between characters, and all of it
// is there.
func TestLongTexts(t *testing.T) {
	d := open(t)
	for name, most := range map[string]int{"Reply-Message": 253, "Class": 253, "Cisco-AVPair": 247, "Tunnel-Private-Group-Id": 253} {
		a := lookup(t, d, name)
		for _, letter := range []string{"a", "ü", "漢", "🔑", "e\u0301"} {
			for _, n := range []int{1, most - 1, most, most + 1, 2*most + 1, 1000} {
				text := strings.Repeat(letter, n)
				if len(text) > 4000 {
					continue
				}
				for tag := range 2 {
					if tag > 0 && !a.Tagged {
						continue
					}
					checkPieces(t, a, tag, text, most)
				}
			}
		}
	}
}

func checkPieces(t *testing.T, a *dictionary.Attribute, tag int, text string, most int) {
	t.Helper()
	written := text
	if tag > 0 {
		written = fmt.Sprintf(":%d:%s", tag, text)
	}
	wires, err := a.Encode(written)
	if err != nil {
		t.Errorf("%s with %d octets: %v", a.Name, len(text), err)
		return
	}
	var all []byte
	for _, w := range wires {
		data := w.Value
		if a.Vendor != nil {
			data = data[6:]
		}
		if tag > 0 {
			if data[0] != byte(tag) {
				t.Errorf("%s: a piece without its tag: %x", a.Name, data)
			}
			data = data[1:]
		}
		if len(w.Value) > 253 || !utf8.Valid(data) || len(data) == 0 {
			t.Errorf("%s: a piece of %d octets: %x", a.Name, len(w.Value), data)
		}
		all = append(all, data...)
	}
	if string(all) != text {
		t.Errorf("%s: %d octets became %d", a.Name, len(text), len(all))
	}
	if least := (len(text) + most - 1) / most; len(wires) > least+1+least/50 {
		t.Errorf("%s: %d pieces for %d octets", a.Name, len(wires), len(text))
	}
}

func TestDescribe(t *testing.T) {
	d := open(t)
	for _, c := range []struct{ octets, name, value string }{
		{"fd03ff", "Attr-253", "0xff"},
		{"1a0a00007ed9010441" + "42", "Attr-26.32473.1", "0x4142"},
		{"1a08000000090105", "Vendor-Specific", "0x000000090105"},                   // a length that lies
		{"1a0a00000009010241" + "42", "Vendor-Specific", "0x00000009010241" + "42"}, // more than one
		{"1a050000ff", "Vendor-Specific", "0x0000ff"},
		{"1a02", "Vendor-Specific", "0x"},
		{"1b0400ff", "Session-Timeout", "0x00ff"},
		{"0602", "Service-Type", "0x"},
		{"0606000000ff", "Service-Type", "HP-User"},
		{"060600000099", "Service-Type", "153"},
		{"400601000001", "Tunnel-Type", ":1:PPTP"},
		{"0b05" + "0a0d00", "Filter-Id", `"\n\r\x00"`},
		{"0b03ff", "Filter-Id", "0xff"},
		{"1904" + "3078", "Class", "0x3078"},
		{"61040040", "Framed-IPv6-Prefix", "::/64"},
		{"610c0040" + "20010db800000001", "Framed-IPv6-Prefix", "2001:db8:0:1::/64"},
		{"61040081", "Framed-IPv6-Prefix", "0x0081"},
		{"0206736563726574", "User-Password", "(encrypted)"},
		{"2806000000" + "03", "Acct-Status-Type", "Interim-Update"},
	} {
		all, err := hex.DecodeString(c.octets)
		if err != nil {
			t.Fatal(c.octets, err)
		}
		name, value := d.Describe(dictionary.Wire{Type: all[0], Value: all[2:]})
		if name != c.name || value != c.value {
			t.Errorf("%s reads %s = %s, want %s = %s", c.octets, name, value, c.name, c.value)
		}
	}
}

func TestNearest(t *testing.T) {
	d := open(t)
	for written, want := range map[string]string{
		"Sesion-Timeout": "Session-Timeout", "SessionTimeout": "Session-Timeout", "session_timeout": "Session-Timeout",
		"Cisco-AV-Pair": "Cisco-AVPair", "Group-Policy": "ASA-Group-Policy", "Fortinet-Group": "Fortinet-Group-Name",
		"Tunnel-Private-Group-ID": "Tunnel-Private-Group-Id", "Palo-Alto-User-Group": "PaloAlto-User-Group",
		"": "", "quux": "", strings.Repeat("Session-Timeout", 9): "",
	} {
		if got := d.Nearest(written); got != want {
			t.Errorf("nearest to %q is %q, want %q", written, got, want)
		}
	}
	if _, ok := d.Lookup("FORTINET-group-NAME"); !ok {
		t.Error("names are compared with regard to case")
	}
	if names := d.Names(); !slices.IsSorted(names) || len(names) < 400 {
		t.Errorf("%d names", len(names))
	}
}

func FuzzDescribe(f *testing.F) {
	d := open(f)
	f.Add(byte(26), []byte("\x00\x00\x00\x09\x01\x04ab"))
	f.Add(byte(64), []byte{1, 0, 0, 13})
	f.Add(byte(97), []byte{0, 32, 0x20})
	f.Fuzz(func(t *testing.T, number byte, value []byte) {
		if len(value) > 253 {
			value = value[:253]
		}
		before := bytes.Clone(value)
		w := dictionary.Wire{Type: number, Value: value}
		name, text := d.Describe(w)
		if name == "" || !bytes.Equal(before, value) {
			t.Fatal("no name, or other octets")
		}
		a, ok := d.Lookup(name)
		if !ok {
			return
		}
		wires, err := a.Encode(text)
		if err != nil || len(wires) != 1 || strings.HasPrefix(text, "0x") || strings.HasPrefix(text, `"`) || a.Kind == dictionary.IPv6Prefix {
			return // octets that are no value of the type
		}
		if a.Kind != dictionary.String && a.Name != "Vendor-Specific" && !bytes.Equal(wires[0].Value, value) && !a.Tagged {
			t.Fatalf("%s = %s is %x, and was %x", name, text, wires[0].Value, value)
		}
	})
}
