"""Which job reads the pods of a node? One for all packs: a file that two jobs match is read twice.

`service_name` is found in OpenTelemetry's order, `app` as ever; what is new with every pod (its
name, its file) becomes metadata, so that runs and builds make no streams.
"""

from typing import Any

import yaml

PODS_JOB = """
job_name: pods
kubernetes_sd_configs:
  - role: pod
relabel_configs:
  - source_labels: [__meta_kubernetes_pod_node_name]
    target_label: __host__
  - source_labels: [__meta_kubernetes_pod_node_name]
    target_label: node
  - source_labels: [__meta_kubernetes_namespace]
    target_label: namespace
  - source_labels: [__meta_kubernetes_pod_name]
    target_label: pod
  - source_labels: [__meta_kubernetes_pod_container_name]
    target_label: container
  - source_labels: [__meta_kubernetes_pod_controller_name]
    regex: ([0-9a-z-.]+?)(-[0-9a-f]{8,10})?
    target_label: __tmp_controller
  - source_labels:
      - __meta_kubernetes_pod_label_app_kubernetes_io_name
      - __meta_kubernetes_pod_label_app
      - __tmp_controller
      - __meta_kubernetes_pod_name
    regex: ;*([^;]+)(;.*)?
    target_label: app
  - source_labels:
      - __meta_kubernetes_pod_annotation_resource_opentelemetry_io_service_name
      - __meta_kubernetes_pod_label_app_kubernetes_io_instance
      - __meta_kubernetes_pod_label_app_kubernetes_io_name
      - __meta_kubernetes_pod_label_app
      - __tmp_controller
      - __meta_kubernetes_pod_name
    regex: ;*([^;]+)(;.*)?
    target_label: service_name
  - source_labels:
      - __meta_kubernetes_pod_label_app_kubernetes_io_component
      - __meta_kubernetes_pod_label_component
      - __meta_kubernetes_pod_container_name
    regex: ;*([^;]+)(;.*)?
    target_label: component
  - source_labels: [namespace, app]
    separator: /
    target_label: job
  - source_labels: [__meta_kubernetes_pod_uid, __meta_kubernetes_pod_container_name]
    separator: /
    replacement: /var/log/pods/*$1/*.log
    target_label: __path__
  - source_labels:
      - __meta_kubernetes_pod_annotationpresent_kubernetes_io_config_hash
      - __meta_kubernetes_pod_annotation_kubernetes_io_config_hash
      - __meta_kubernetes_pod_container_name
    separator: /
    regex: true/(.*)
    replacement: /var/log/pods/*$1/*.log
    target_label: __path__
pipeline_stages:
  - cri: {}
  - structured_metadata:
      pod:
      node:
      filename:
"""
"""In Promtail's words; the rules that choose a pack come behind its own."""


def pods_job() -> dict[str, Any]:
    """The job as plain values, new at each call."""
    found: dict[str, Any] = yaml.safe_load(PODS_JOB)
    return found
