package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A Document is what everybody gets in the same octets, as a whole or compressed (RFC 9110
// section 8.4.1.3). There is nothing secret in it, so that its length tells nothing. It is safe for
// concurrent use.
type Document struct {
	kind          string
	plain, zipped []byte // zipped is nil where compression is not worth it
	tag, version  string
}

// NewDocument is a document that is answered as it is; ext (".html") says what it is.
func NewDocument(ext string, octets []byte) *Document {
	sum := sha256.Sum256(octets)
	tag := hex.EncodeToString(sum[:12])
	return &Document{kind: contentType(ext), plain: octets, tag: tag, version: tag[:12]}
}

// Compressed returns the document with a compressed form beside the whole one, if that is shorter.
func (d *Document) Compressed() *Document {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return d // the level is one that there is
	}
	if _, err := w.Write(d.plain); err != nil || w.Close() != nil || b.Len() >= len(d.plain) {
		return d
	}
	c := *d
	c.zipped = b.Bytes()
	return &c
}

// Version changes with the octets. It is part of addresses whose documents never change.
func (d *Document) Version() string { return d.version }

// Versioned returns the document with a version that somebody else made, for those that hold each
// other's.
func (d *Document) Versioned(version string) *Document {
	c := *d
	c.version = version
	return &c
}

// Integrity is the octets' hash as Subresource Integrity (W3C) wants it.
func (d *Document) Integrity() string {
	sum := sha512.Sum384(d.plain)
	return "sha384-" + base64.StdEncoding.EncodeToString(sum[:])
}

// Serve answers with the document. The browser may keep it, for ever if the address names its
// version (v=…), and asks whether it is still the same otherwise.
func (d *Document) Serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	octets, tag := d.plain, d.tag
	if d.zipped != nil {
		h.Add("Vary", "Accept-Encoding")
		if takesGzip(r.Header.Values("Accept-Encoding")) {
			h.Set("Content-Encoding", "gzip")
			octets, tag = d.zipped, tag+"-gzip" // RFC 9110 section 8.8.3: another representation, another tag
		}
	}
	h.Set("ETag", `"`+tag+`"`)
	h.Set("Cache-Control", "no-cache")
	if r.URL.Query().Get("v") == d.version {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	h.Set("Content-Type", d.kind)
	h.Set("Content-Length", strconv.Itoa(len(octets)))
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(octets))
}

// takesGzip reads Accept-Encoding (RFC 9110 section 12.5.3) as far as it is about gzip.
func takesGzip(values []string) bool {
	for _, value := range strings.Split(strings.Join(values, ","), ",") {
		coding, weight, _ := strings.Cut(strings.ToLower(value), ";")
		if strings.TrimSpace(coding) != "gzip" {
			continue
		}
		q, weighted := strings.CutPrefix(strings.ReplaceAll(weight, " ", ""), "q=")
		if !weighted {
			return weight == ""
		}
		n, err := strconv.ParseFloat(q, 64)
		return err == nil && n > 0
	}
	return false
}

// contentType does not depend on what the machine has in its MIME tables, for the few there are.
func contentType(ext string) string {
	switch ext {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".png":
		return "image/png"
	case ".json":
		return "application/json"
	case ".yaml":
		return "application/yaml" // RFC 9512
	case ".webmanifest":
		return "application/manifest+json"
	}
	if kind := mime.TypeByExtension(ext); kind != "" {
		return kind
	}
	return "application/octet-stream"
}
