package app_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"otpgate/enroll/app"
	"otpgate/enroll/browsertest"
)

// go test ./enroll/app -run TestIconsLookLikeTheDrawing -update
var update = flag.Bool("update", false, "draw files/icon-*.png from files/icon.svg")

// icons are the pictures that phones want, which take no SVG: by their sizes in pixels. Those that
// the phone gives a shape of its own have no corners of theirs, and nothing outside the middle (a
// circle of 4/5 of the width, W3C Web Application Manifest, "maskable").
var icons = map[string]struct {
	size int
	full bool
}{
	"icon-192.png": {192, false}, "icon-512.png": {512, false}, "icon-180.png": {180, true},
	"icon-maskable-192.png": {192, true}, "icon-maskable-512.png": {512, true},
}

// draw has the browser draw the icon.
func draw(t *testing.T, b *browsertest.Browser, size int, full bool) *image.NRGBA {
	t.Helper()
	svg := files(t)["icon.svg"]
	if full {
		square := strings.Replace(svg, ` rx="29"`, "", 1)
		if square == svg {
			t.Fatal("icon.svg: no corners to remove")
		}
		svg = square
	}
	address, err := json.Marshal("data:image/svg+xml;base64," + base64.StdEncoding.EncodeToString([]byte(svg)))
	if err != nil {
		t.Fatal(err)
	}
	var data string
	if err := b.Run(fmt.Sprintf(`(async () => {
		const drawing = new Image(%[2]d, %[2]d);
		drawing.src = %[1]s;
		await drawing.decode();
		const canvas = new OffscreenCanvas(%[2]d, %[2]d);
		canvas.getContext("2d").drawImage(drawing, 0, 0, %[2]d, %[2]d);
		const octets = new Uint8Array(await (await canvas.convertToBlob()).arrayBuffer());
		return octets.toBase64();
	})()`, address, size), &data); err != nil {
		t.Fatal(err)
	}
	octets, err := base64.StdEncoding.DecodeString(data)
	if err != nil {
		t.Fatal(err)
	}
	drawn, err := png.Decode(bytes.NewReader(octets))
	if err != nil {
		t.Fatal(err)
	}
	picture := image.NewNRGBA(drawn.Bounds())
	for y := range size {
		for x := range size {
			picture.Set(x, y, drawn.At(x, y))
		}
	}
	return picture
}

// write keeps a picture with as few octets as it can have. All colours are on the way from the
// ground to white, or from nothing to the ground: a palette of some steps of both.
func write(t *testing.T, name string, picture *image.NRGBA) {
	t.Helper()
	const steps = 7
	ground := picture.NRGBAAt(picture.Rect.Dx()/64, picture.Rect.Dy()/2)
	part := func(v, from, to uint8) int { // of the way, in steps
		return (max(int(v)-int(from), 0)*steps + (int(to)-int(from))/2) / (int(to) - int(from))
	}
	on := func(from uint8, n int) uint8 { return from + uint8((255-int(from))*n/steps) }
	few := image.NewPaletted(picture.Bounds(), nil)
	index := map[color.NRGBA]uint8{}
	for y := range picture.Rect.Dy() {
		for x := range picture.Rect.Dx() {
			c := picture.NRGBAAt(x, y)
			n, alpha := part(c.R, ground.R, 255), on(0, part(c.A, 0, 255))
			if alpha < 255 {
				n = 0
			}
			if c = (color.NRGBA{on(ground.R, n), on(ground.G, n), on(ground.B, n), alpha}); alpha == 0 {
				c = color.NRGBA{}
			}
			if _, ok := index[c]; !ok {
				index[c] = uint8(len(few.Palette))
				few.Palette = append(few.Palette, c)
			}
			few.SetColorIndex(x, y, index[c])
		}
	}
	if len(few.Palette) > 16 {
		t.Fatalf("%s: %d colours", name, len(few.Palette))
	}
	var b bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, few); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join("files", name), b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestIconsLookLikeTheDrawing: each has its size, and is icon.svg as a browser draws it.
func TestIconsLookLikeTheDrawing(t *testing.T) {
	b := browsertest.Start(t, browsertest.Options{})
	for name, icon := range icons {
		drawn := draw(t, b, icon.size, icon.full)
		if *update {
			write(t, name, drawn)
		}
		octets, err := os.ReadFile(filepath.Join("files", name))
		if err != nil {
			t.Fatal(err)
		}
		kept, err := png.Decode(bytes.NewReader(octets))
		if err != nil || kept.Bounds() != drawn.Bounds() {
			t.Fatalf("%s: %v, want %d x %d", name, err, icon.size, icon.size)
		}
		if far := difference(kept, drawn); far > 2 {
			t.Errorf("%s: not what icon.svg looks like (%.1f of 255 on average); draw it anew with -update, and look at it", name, far)
		}
		if _, _, _, alpha := kept.At(0, 0).RGBA(); (alpha == 0xffff) != icon.full {
			t.Errorf("%s: the corner's opacity is %d", name, alpha>>8)
		}
		if outside(kept) && icon.full {
			t.Errorf("%s: a phone may cut something off", name)
		}
	}
	if entries, err := fs.Glob(app.Files(), "*.png"); err != nil || len(entries) != len(icons) && !*update {
		t.Errorf("pictures: %v %v", entries, err)
	}
}

// difference is how far apart two pictures are, on average of all pixels and channels.
func difference(a, b image.Image) float64 {
	var sum, n float64
	for y := range a.Bounds().Dy() {
		for x := range a.Bounds().Dx() {
			p, q := color.RGBA64Model.Convert(a.At(x, y)).(color.RGBA64), color.RGBA64Model.Convert(b.At(x, y)).(color.RGBA64)
			for _, d := range []int{int(p.R) - int(q.R), int(p.G) - int(q.G), int(p.B) - int(q.B), int(p.A) - int(q.A)} {
				sum += float64(max(d, -d)) / 257
				n++
			}
		}
	}
	return sum / n
}

// outside reports whether there is anything but the ground outside the middle.
func outside(picture image.Image) bool {
	size := picture.Bounds().Dx()
	ground := picture.At(size/64, size/2)
	for y := range size {
		for x := range size {
			dx, dy := x-size/2, y-size/2
			if 25*(dx*dx+dy*dy) > 4*size*size && picture.At(x, y) != ground {
				return true
			}
		}
	}
	return false
}
