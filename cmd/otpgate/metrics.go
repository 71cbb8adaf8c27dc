package main

import (
	"math"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

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
}
