{{- define "local-aws.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "local-aws.labels" -}}
{{ include "local-aws.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "local-aws.image" -}}
{{- with .Values.image -}}
{{- with .registry }}{{ trimSuffix "/" . }}/{{ end -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion | toJson | trimAll "\"" }}
{{- with .digest }}@{{ . }}{{ end -}}
{{- end -}}
{{- end -}}

{{- /* The host in queue URLs. Every pod of the cluster must be able to resolve it. */ -}}
{{- define "local-aws.host" -}}
local-aws.{{ .Release.Namespace }}.svc.cluster.local
{{- end -}}
