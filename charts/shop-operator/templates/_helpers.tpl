{{- define "shop-operator.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{ .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{- define "shop-operator.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "shop-operator.labels" -}}
{{ include "shop-operator.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "shop-operator.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "shop-operator.fullname" .) }}
{{- else -}}
{{ required "serviceAccount.name is empty: set it to an existing ServiceAccount, or enable serviceAccount.create" .Values.serviceAccount.name }}
{{- end -}}
{{- end -}}

{{- /* Without a registry: a placeholder that never resolves (RFC 6761), so that no image of another origin gets the
permissions of the operator. */ -}}
{{- define "shop-operator.repository" -}}
{{- with .Values.image -}}
{{- $registry := .registry | default (ternary "" "registry.invalid" (contains "/" .repository)) -}}
{{- with $registry }}{{ trimSuffix "/" . }}/{{ end -}}
{{ .repository }}
{{- end -}}
{{- end -}}

{{- define "shop-operator.image" -}}
{{- with .Values.image -}}
{{ include "shop-operator.repository" $ }}:{{ .tag | default $.Chart.AppVersion | toJson | trimAll "\"" }}
{{- with .digest }}@{{ . }}{{ end -}}
{{- end -}}
{{- end -}}
