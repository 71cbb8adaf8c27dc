package main

import (
	"math"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"otpgate/cmd/internal/loglines"
)

// watchLog tells whether somebody reads the log.
func watchLog(reg prometheus.Registerer, lines *loglines.Lines) {
	promauto.With(reg).NewCounterFunc(prometheus.CounterOpts{
		Name: "otpgate_log_lines_dropped_total",
		Help: "Lines of the log that were dropped, because what reads it stood still.",
	}, func() float64 { return float64(lines.Dropped()) })
}

// watchCertificate tells until when the certificate of a listener is good, also after its files
// have been replaced.
func watchCertificate(reg prometheus.Registerer, listener string, files *certificateFiles) {
	promauto.With(reg).NewGaugeFunc(prometheus.GaugeOpts{
		Name:        "otpgate_certificate_not_after_timestamp_seconds",
		Help:        "When the certificate of the listener ends, in Unix time.",
		ConstLabels: prometheus.Labels{"listener": listener},
	}, func() float64 {
		c, err := files.get()
		if err != nil {
			return math.NaN()
		}
		return float64(c.Leaf.NotAfter.Unix())
	})
	watchStale(reg, prometheus.GaugeOpts{
		Name:        "otpgate_certificate_stale",
		Help:        "1 while the files of the listener's certificate cannot be used and the old one stays in force.",
		ConstLabels: prometheus.Labels{"listener": listener},
	}, files.stale)
}

// watchAuthority tells whether the authorities of a listener's clients are those of the file.
func watchAuthority(reg prometheus.Registerer, listener string, file *authorityFile) {
	watchStale(reg, prometheus.GaugeOpts{
		Name:        "otpgate_client_authorities_stale",
		Help:        "1 while the file with the authorities of clients cannot be used and the old ones stay in force.",
		ConstLabels: prometheus.Labels{"listener": listener},
	}, file.stale)
}

// watchStale is a gauge of whether something is in force that is not what its file says.
func watchStale(reg prometheus.Registerer, o prometheus.GaugeOpts, stale func() bool) {
	promauto.With(reg).NewGaugeFunc(o, func() float64 {
		if stale() {
			return 1
		}
		return 0
	})
}
