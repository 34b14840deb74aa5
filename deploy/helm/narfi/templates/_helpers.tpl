{{/* Names, labels and the parts that pods share. */}}

{{- define "narfi.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "narfi.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "narfi.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "narfi.selector" -}}
app.kubernetes.io/name: {{ include "narfi.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "narfi.labels" -}}
{{ include "narfi.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "narfi.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "narfi.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "narfi.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* Who runs: nobody, with a read-only disk and no rights. */}}
{{- define "narfi.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "narfi.containerSecurity" -}}
readOnlyRootFilesystem: true
allowPrivilegeEscalation: false
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Where the catalog is, with its password: for servers and for the job that migrates. */}}
{{- define "narfi.catalogEnv" -}}
- name: NARFI_CATALOG__URL
  value: {{ .Values.catalog.url | quote }}
{{- if .Values.catalog.existingSecret }}
- name: PGPASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ .Values.catalog.existingSecret }}
      key: {{ .Values.catalog.passwordKey }}
{{- end }}
{{- end -}}

{{/* Of every server. */}}
{{- define "narfi.env" -}}
- name: NARFI_DATA_DIR
  value: /var/lib/narfi
- name: NARFI_SERVER__HTTP
  value: 0.0.0.0:3100
- name: NARFI_SERVER__GRPC
  value: 0.0.0.0:9095
{{- if .Values.storage.url }}
- name: NARFI_STORAGE__URL
  value: {{ .Values.storage.url | quote }}
{{- end }}
{{- if .Values.catalog.url }}
{{ include "narfi.catalogEnv" . }}
{{- end }}
{{- if .Values.auth.enabled }}
- name: NARFI_AUTH__ENABLED
  value: "true"
- name: NARFI_AUTH__TOKENS_FILE
  value: /etc/narfi-tokens/tokens.yaml
- name: DRAIN_TOKEN_FILE
  value: /etc/narfi-tokens/admin
{{- end }}
{{- if .Values.tls.enabled }}
- name: NARFI_SERVER__TLS__CERT_FILE
  value: /etc/narfi-tls/tls.crt
- name: NARFI_SERVER__TLS__KEY_FILE
  value: /etc/narfi-tls/tls.key
{{- end }}
{{- if .Values.rulesConfigMap }}
- name: NARFI_RULER__DIRECTORY
  value: /etc/narfi-rules
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "narfi.envFrom" -}}
{{- if .Values.storage.existingSecret -}}
- secretRef:
    name: {{ .Values.storage.existingSecret }}
{{- end }}
{{- with .Values.extraEnvFrom }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The container of every server but its name, environment, resources and hooks. */}}
{{- define "narfi.container" -}}
image: {{ include "narfi.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args:
  - serve
  {{- if not .Values.auth.enabled }}
  - --insecure
  {{- end }}
  - --config
  - /etc/narfi/narfi.yaml
ports:
  - {name: http, containerPort: 3100}
  - {name: grpc, containerPort: 9095}
readinessProbe:
  httpGet: {path: /ready, port: http, scheme: {{ include "narfi.scheme" . | upper }}}
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 3
livenessProbe: # 200 while a place is away; 503 for an ingester whose journal was taken over
  httpGet: {path: /ready, port: http, scheme: {{ include "narfi.scheme" . | upper }}}
  periodSeconds: 30
  timeoutSeconds: 10
  failureThreshold: 10
securityContext:
  {{- include "narfi.containerSecurity" . | nindent 2 }}
volumeMounts:
  - {name: data, mountPath: /var/lib/narfi}
  - {name: config, mountPath: /etc/narfi, readOnly: true}
  {{- if .Values.auth.enabled }}
  - {name: tokens, mountPath: /etc/narfi-tokens, readOnly: true}
  {{- end }}
  {{- if .Values.tls.enabled }}
  - {name: tls, mountPath: /etc/narfi-tls, readOnly: true}
  {{- end }}
  {{- if .Values.rulesConfigMap }}
  - {name: rules, mountPath: /etc/narfi-rules, readOnly: true}
  {{- end }}
{{- end -}}

{{/* Volumes but the one called data. */}}
{{- define "narfi.volumes" -}}
- name: config
  configMap:
    name: {{ include "narfi.fullname" . }}
{{- if .Values.auth.enabled }}
- name: tokens
  secret:
    secretName: {{ required "auth.existingSecret names a Secret with tokens.yaml" .Values.auth.existingSecret }}
{{- end }}
{{- if .Values.tls.enabled }}
- name: tls
  secret:
    secretName: {{ required "tls.existingSecret names a Secret with tls.crt and tls.key" .Values.tls.existingSecret }}
{{- end }}
{{- if .Values.rulesConfigMap }}
- name: rules
  configMap:
    name: {{ .Values.rulesConfigMap }}
{{- end }}
{{- end -}}

{{- define "narfi.scheme" -}}
{{- ternary "https" "http" .Values.tls.enabled -}}
{{- end -}}

{{/* The claim of a volume called data; given its values. */}}
{{- define "narfi.claim" -}}
- metadata:
    name: data
  spec:
    accessModes:
      {{- toYaml .accessModes | nindent 6 }}
    {{- with .storageClassName }}
    storageClassName: {{ . }}
    {{- end }}
    resources:
      requests:
        storage: {{ .size }}
{{- end -}}

{{/* Where a pod may run; given the root and the component. */}}
{{- define "narfi.placement" -}}
{{- $root := .root -}}
serviceAccountName: {{ include "narfi.serviceAccountName" $root }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $root.Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if $root.Values.spread.enabled }}
topologySpreadConstraints:
  {{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - topologyKey: {{ $key }}
    maxSkew: 1
    whenUnsatisfiable: {{ $root.Values.spread.whenUnsatisfiable }}
    labelSelector:
      matchLabels:
        {{- include "narfi.selector" $root | nindent 8 }}
        app.kubernetes.io/component: {{ $.component }}
  {{- end }}
{{- end }}
securityContext:
  {{- include "narfi.podSecurity" $root | nindent 2 }}
{{- end -}}

{{/* Labels and annotations of a pod; given the root and the component. */}}
{{- define "narfi.podMetadata" -}}
labels:
  {{- include "narfi.labels" .root | nindent 2 }}
  app.kubernetes.io/component: {{ .component }}
  {{- with .root.Values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
annotations:
  checksum/config: {{ toJson .root.Values.config | sha256sum }}
  {{- with .root.Values.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* Where pushes go. */}}
{{- define "narfi.pushUrl" -}}
{{- $fullname := include "narfi.fullname" . -}}
{{- if .Values.agent.url -}}
{{- .Values.agent.url -}}
{{- else if eq .Values.mode "roles" -}}
{{- printf "http://%s-ingester.%s.svc:3100/loki/api/v1/push" $fullname .Release.Namespace -}}
{{- else -}}
{{- printf "%s://%s.%s.svc:3100/loki/api/v1/push" (include "narfi.scheme" .) $fullname .Release.Namespace -}}
{{- end -}}
{{- end -}}
