// Promtail: Loki's releases no longer hold its command, so here is one around its package.
package main

import (
	"flag"
	"os"

	"github.com/go-kit/log"
	"github.com/grafana/loki/v3/clients/pkg/promtail"
	"github.com/grafana/loki/v3/clients/pkg/promtail/client"
	"github.com/grafana/loki/v3/clients/pkg/promtail/config"
	"github.com/prometheus/client_golang/prometheus"
	"gopkg.in/yaml.v2"
)

var logger = log.NewLogfmtLogger(log.NewSyncWriter(os.Stderr))

func load(path string) (*config.Config, error) {
	var found config.Config
	defaults := flag.NewFlagSet("promtail", flag.ContinueOnError)
	found.RegisterFlags(defaults)
	if err := defaults.Parse(nil); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if err := yaml.UnmarshalStrict(text, &found); err != nil {
		return nil, err
	}
	found.Setup(logger)
	return &found, nil
}

func main() {
	path := flag.String("config.file", "", "YAML file")
	dryRun := flag.Bool("dry-run", false, "print entries")
	flag.Parse()
	again := func() (*config.Config, error) { return load(*path) }
	found, err := again()
	if err == nil {
		metrics := client.NewMetrics(prometheus.DefaultRegisterer)
		var program *promtail.Promtail
		if program, err = promtail.New(*found, again, metrics, *dryRun, promtail.WithLogger(logger)); err == nil {
			err = program.Run()
		}
	}
	if err != nil {
		_ = logger.Log("msg", "promtail ends", "err", err)
		os.Exit(1)
	}
}
