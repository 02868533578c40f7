{{- define "service.name" -}}
{{- if gt (len .Release.Name) 40 }}{{ fail (printf "the release name %q is longer than 40 characters: its objects' names would not fit" .Release.Name) }}{{ end -}}
{{- .Release.Name -}}
{{- end }}

{{- define "service.selector" -}}
app.kubernetes.io/name: {{ include "service.name" . }}
{{- end }}

{{- define "service.labels" -}}
{{ include "service.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
hetzner-platform/tenant: {{ .Values.tenant }}
hetzner-platform/environment: {{ .Values.environment }}
hetzner-platform/owner: {{ .Values.owner }}
{{- end }}

{{- define "service.probe" -}}
httpGet:
  path: {{ .probe.path | default .path }}
  port: {{ .probe.port | default "http" }}
{{- range $key := list "periodSeconds" "failureThreshold" "timeoutSeconds" "initialDelaySeconds" }}
{{- with index $.probe $key }}
{{ $key }}: {{ . }}
{{- end }}
{{- end }}
{{- end }}

{{- /* What the schema cannot say: rules over several values. */ -}}
{{- define "service.checked" -}}
{{- $namespace := printf "%s-%s" .Values.tenant .Values.environment -}}
{{- if ne .Release.Namespace $namespace }}{{ fail (printf "tenant and environment say namespace %s, but this goes to %s: deploy with --namespace %s" $namespace .Release.Namespace $namespace) }}{{ end -}}
{{- if and .Values.scaling.enabled (gt (int .Values.scaling.min) (int .Values.scaling.max)) }}{{ fail (printf "scaling.min %v is above scaling.max %v" .Values.scaling.min .Values.scaling.max) }}{{ end -}}
{{- if ge (int .Values.preStopSeconds) (int .Values.terminationGracePeriodSeconds) }}{{ fail (printf "preStopSeconds %v leaves nothing of terminationGracePeriodSeconds %v to finish requests in" .Values.preStopSeconds .Values.terminationGracePeriodSeconds) }}{{ end -}}
{{- if and (eq .Values.kind "worker") (not .Values.probes.command) }}{{ fail "a worker has no port that could be asked: write in probes.command what ends with 0 while all is well" }}{{ end -}}
{{- if and (eq .Values.kind "worker") .Values.route.hosts }}{{ fail "a worker has no route: take route.hosts out, or write kind: service" }}{{ end -}}
{{- if and (eq .Values.kind "worker") .Values.mesh.clients }}{{ fail "nobody calls a worker: take mesh.clients out, or write kind: service" }}{{ end -}}
{{- if and (eq .Values.kind "worker") .Values.metrics.enabled (eq (int .Values.metrics.port) (int .Values.port)) }}{{ fail "a worker has no port of its own: give metrics.port another number than port" }}{{ end -}}
{{- if and .Values.route.authenticated (not .Values.route.hosts) }}{{ fail "route.authenticated is set, but route.hosts is empty: nothing would be authenticated" }}{{ end -}}
{{- end }}

{{- /* The metrics' own port is there only when it is another than the service's. */ -}}
{{- define "service.ownMetricsPort" -}}
{{- if and .Values.metrics.enabled (ne (int .Values.metrics.port) (int .Values.port)) }}true{{ end -}}
{{- end }}

{{- define "service.match" -}}
{{ printf "Host(`%s`)" .host }}{{ if ne .prefix "/" }}{{ printf " && PathPrefix(`%s`)" .prefix }}{{ end }}
{{- end }}
